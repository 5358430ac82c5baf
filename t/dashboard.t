#!/usr/bin/env perl

# The page of live_status in Chromium: it shows a stream, plays it, ends it, and
# asks for nothing elsewhere.
#
# alone

use strict;
use warnings;

use JSON::PP qw/ decode_json /;
use Test::Live;
use Test::More;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }

live {
    zone 64m;
    segment 1s max=3s;
    window 10s;

    application live {
        rendition source copy;
        rendition low size=160x90 video=100k preset=ultrafast audio=32k;
    }
}

stream { server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; } }

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ { live_play live; }
        location /streams { live_api live; }
        location = /status { live_status api=/streams play=/*; }
        location = /bare { live_status; }
        location = /odd { live_status "api=/</script>\"\\"; }
    }
}
CONF

$t->run();

my $url = 'http://127.0.0.1:' . $t->port(8080);

test_page();
test_events();
test_browser();

done_testing();


sub test_page {
    my $r = $t->get('/status');

    is($r->{status}, 200, 'the page');
    is($r->{headers}{'content-type'}, 'text/html; charset=utf-8', 'HTML');
    is($r->{headers}{'cache-control'}, 'no-store', 'never cached');
    like($r->{headers}{'content-security-policy'}, qr/default-src 'none'/,
         'it says what it needs');
    like($r->{body}, qr/const config = \{"api":"\/streams","play":"\/\*"/,
         'its settings');
    unlike($r->{body}, qr{(?:src|href)\s*=\s*["']?(?:https?:)?//}i,
           'nothing of elsewhere');
    like($t->get('/bare')->{body}, qr/const config = \{"api":"","play":""\}/,
         'without settings');

    my $body = $t->get('/odd')->{body};

    is(scalar(() = $body =~ m{</script>}g), 1, 'settings stay in the script');
    is($t->get('/status', method => 'HEAD')->{status}, 200, 'HEAD');
    is($t->get('/status', method => 'POST')->{status}, 405, 'POST: 405');
}


sub test_events {
    my $pid = $t->spawn({ stdout => 'events' }, qw/ curl -sN /,
                        "$url/status?events");
    my @states;

    ok($t->wait_for(sub {
           @states = map { [ /^data: (.*)$/mg ] }
                     split /\n\n/, $t->read_file('events') // '';
           @states = grep { @$_ } @states;
           return @states >= 3;
       }, 15, 'three states'), 'the state comes again and again');
    is(decode_json(join "\n", @{ $states[0] })->{server}{workers}, 2,
       'as JSON');

    my $before = sockets();
    my @pids = map { $t->spawn({ stdout => "more$_" }, qw/ curl -sN /,
                               "$url/status?events") } 1 .. 20;

    ok($t->wait_for(sub {
           return !grep { ($t->read_file("more$_") // '') !~ /^data: /m }
                   1 .. 20;
       }, 15, 'their states'), 'many clients at once');
    is(sockets(), $before + 20, 'each has its connection');

    $t->end($_) for @pids, $pid;
    ok($t->wait_for(sub { sockets() == $before - 1 }, 10, 'the end'),
       'which is gone with it');
}


# Connections of clients that the workers have.
sub sockets {
    my $port = sprintf '%04X', $t->port(8080);
    my %taken;

    # a socket's line: sl, local address, remote address, state, ..., inode
    for (split /\n/, $t->read_file('/proc/net/tcp')) {
        my @field = split ' ';

        $taken{"socket:[$field[9]]"} = 1 if $field[1] =~ /:$port$/
                                            && $field[3] ne '0A';
    }

    return scalar grep { $taken{ readlink($_) // '' } }
                  map { glob "/proc/$_/fd/*" } $t->workers();
}


sub test_browser {
    my $clip = $t->clip(seconds => 12, gop => 15);
    my $pid = $t->ffmpeg_publish('live/cam', clip => $clip, loop => -1);

    ok($t->wait_for(sub {
           $t->get('/live/cam/playlist.m3u8')->{status} == 200
       }, 20, 'it'), 'a stream');

    my ($code, $output) = $t->command(
        'node', $t->root() . '/t/browser/status.js', "$url/status", 'live/cam',
        $ENV{LIVE_SHOTS} ? "$ENV{LIVE_SHOTS}/status.png" : ());

    is($code, 0, 'an operator uses it') or diag($output);

    my $seen = eval { decode_json(($output =~ /^(\{.*\})$/m)[0] // '{}') };

    like($seen->{text}, qr/live\/cam.*\blive\b/s, 'the stream is shown');
    like($seen->{text}, qr/from 127\.0\.0\.1/, 'and where it comes from');
    like($seen->{text}, qr/avc1\S+\s+320\x{d7}180, [23]\d\.\d frames/s,
         'what it is made of');
    is($seen->{thumbnail}, 320, 'a picture of it');
    cmp_ok($seen->{played} // 0, '>', 30, 'it plays');
    ok($t->wait_for(sub { !$t->is_running($pid) }, 15, 'the encoder to stop'),
       'it is ended');
    is_deeply($seen->{outside}, [], 'nothing is asked for elsewhere');
    is_deeply($seen->{crashes}, [], 'no error');
}
