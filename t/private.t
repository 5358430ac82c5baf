#!/usr/bin/env perl

# examples/private.conf: a program says who may watch, once a minute for each
# viewer and stream.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use Test::Live;
use Test::Live::M3U8;
use Test::More;

my $t = Test::Live->new();
my $conf = $t->read_file($t->root() . '/examples/private.conf');

my $server = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1',
                                   ReuseAddr => 1) or die "listen: $!\n";

$conf =~ s/^(?:load_module|error_log|pid|\s*access_log) .*$//mg;
$conf =~ s/listen (\d+);/listen 127.0.0.1:%%PORT_$1%%;/g;
$conf =~ s/127\.0\.0\.1:9000/'127.0.0.1:' . $server->sockport()/e;
$conf =~ s/zone 1g/zone 64m/;
$conf =~ s/segment 4s/segment 1s max=3s/;
$conf =~ s/worker_processes auto/worker_processes 2/;
$conf =~ s/^http \{/http {\n%%TEST_GLOBALS_HTTP%%/m;

$t->write_file_expand('nginx.conf', "%%TEST_GLOBALS%%\n$conf");

my $asked = $t->dir() . '/asked';
my $pid = fork() // die "fork: $!\n";

if ($pid == 0) {
    answer();
    POSIX::_exit(0);
}

$t->run();

my $clip = $t->clip(seconds => 6, gop => 15);
my @encoders = map { $t->ffmpeg_publish("live/$_", clip => $clip, loop => -1) }
               qw/ cam other /;

ok($t->wait_for(sub {
       my ($r) = get('cam/playlist.m3u8?token=good');
       return $r->{status} == 200;
   }, 20, 'the stream'), 'who has a token watches');

test_viewer();
test_refused();
test_program();

kill 'TERM', $pid if $pid;
waitpid $pid, 0;

done_testing();


# The program: one request after the other; what it was asked is in a file.
sub answer {
    while (my $c = $server->accept()) {
        my $head = '';

        while ((my $line = <$c>) // '') {
            $head .= $line;
            last if $line =~ /^\r?\n$/;
        }

        my ($stream) = $head =~ m{^GET /play\?stream=(\S*) };
        my $token = ($head =~ /^X-Token: (\S*)/mi)[0] // '';

        open my $out, '>>', $asked;
        print $out "$stream $token\n";
        close $out;

        my $status = $token eq 'good' ? '200 OK' : '403 Forbidden';

        print $c "HTTP/1.1 $status\r\nContent-Length: 0\r\n"
                 . "Connection: close\r\n\r\n";
        close $c;
    }
}


sub asked {
    my ($what) = @_;

    return scalar grep { $_ eq $what } split /\n/, $t->read_file('asked') // '';
}


sub get {
    my ($path, %headers) = @_;

    return $t->get("/live/$path", headers => \%headers);
}


# The token is in the first URL, then in a cookie.
sub test_viewer {
    my $r = get('cam/playlist.m3u8?token=good');

    is($r->{headers}{'set-cookie'},
       'token=good; Path=/live/; HttpOnly; SameSite=Lax', 'a cookie');

    my %cookie = (Cookie => 'token=good');
    my $p;

    ok($t->wait_for(sub {
           $p = Test::Live::M3U8->parse(get('cam/source/playlist.m3u8',
                                            %cookie)->{body});
           return @{ $p->{segments} || [] } >= 2;
       }, 20, 'segments'), 'playlists by the cookie');

    for my $i (0 .. 1) {
        my $r = get("cam/source/$p->{segments}[$i]{uri}", %cookie);

        is($r->{status}, 200, 'a segment');
        cmp_ok(length $r->{body}, '>', 1000, 'all of it');
    }

    my $next = $p->{segments}[-1]{msn} + 2;

    is(get("cam/source/playlist.m3u8?_HLS_msn=$next", %cookie)->{status}, 200,
       'a playlist that is waited for');
    cmp_ok(asked('cam good'), '>=', 1, 'the program is asked');
    cmp_ok(asked('cam good'), '<=', 2, 'once in a while');
    is(asked('other good'), 0, 'about what is watched');
    is(get('other/playlist.m3u8', %cookie)->{status}, 200, 'another stream');
    is(asked('other good'), 1, 'is asked about');
}


sub test_refused {
    is(get('cam/playlist.m3u8')->{status}, 403, 'without a token: 403');
    is(get('cam/playlist.m3u8?token=bad')->{status}, 403, 'a wrong one: 403');
    is(get('cam/source/playlist.m3u8', Cookie => 'token=bad')->{status}, 403,
       'the same in a cookie');
    is(get('none/playlist.m3u8?token=good')->{status}, 404,
       'no such stream, for who may know');
}


# Nobody is let in for the reason that the program is not there.
sub test_program {
    kill 'TERM', $pid;
    waitpid $pid, 0;
    $pid = 0;
    close $server;

    is(get('cam/playlist.m3u8', Cookie => 'token=good')->{status}, 200,
       'who was let in goes on');
    is(get('cam/playlist.m3u8?token=new')->{status}, 500,
       'without the program nobody is let in');
    $t->end($_) for @encoders;
}
