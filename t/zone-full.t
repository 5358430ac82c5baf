#!/usr/bin/env perl

# asan
# waits
#
# Invariant 6: at the bound of the zone what no playlist lists goes first, then
# new publications are refused with a clear error; those that are there go on,
# and when publishers leave, others may come.

use strict;
use warnings;

use List::Util qw/ sum0 /;
use POSIX ();
use Test::Live;
use Test::Live::M3U8;
use Test::Live::RTMP;
use Test::More;
use Time::HiRes qw/ time sleep /;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }

live {
    zone 16m;

    application live {
        segment 1s max=1s;
        window 6s;
        resume 1s;
    }
}

stream {
    log_format live '$live_app/$live_name $live_state $live_duration';
    access_log %%DIR%%/stream.log live;

    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ { live_play live; }
        location /streams { live_api live; }
    }
}
CONF

# of 16 MB two are for the index; a stream of these makes 500 kB a second: the
# playlists of three list 10 MB, which fit, those of four 14 MB, which do not
my $BUDGET = 14 * 1024 * 1024;
my $FRAME = 50_000;
my $WINDOW = 6;

my ($record) = map { $_->{payload} }
               grep { $_->{type} == 9
                      && ord(substr $_->{payload}, 1, 1) == 0 }
               @{ Test::Live::RTMP::flv_tags($t->clip(seconds => 1,
                                                      audio => 0)) };
my %publishers;
my $full = qr/the live zone is full, publishing ends/;

$t->run();

test_pressure();
test_refused();
test_others_go_on();
test_recovers();

done_testing();


# --- publishers and players ---------------------------------------------------

sub start {
    my ($name) = @_;

    my $pid = fork() // die "cannot fork: $!\n";

    return $publishers{$name} = $pid if $pid;

    eval {
        my $client = Test::Live::RTMP->start(
            port => $t->port(1935), app => 'live', name => $name,
            chunk_size => 1_000_000);
        my $start = time();
        my $word = sprintf '%-10s', $name;

        $client->video(0, $record);

        for (my $n = 0; 1; $n++) {
            my $key = $n % 10 == 0;
            my $unit = ($key ? "\x65" : "\x41") . $word x ($FRAME / 10);

            sleep 0.01 while time() < $start + $n / 10;
            $client->video($n * 100, Test::Live::RTMP::avc_frame(
                $key, 0, pack('N', length $unit) . $unit)) or last;
        }
    };

    POSIX::_exit(0);
}


END {
    my $code = $?;
    kill 'KILL', values %publishers if $t && $t->{owner} == $$;
    $? = $code;
}


sub playlist {
    my ($name) = @_;

    my $r = $t->get("/live/$name/source/playlist.m3u8");

    return $r->{status} == 200 ? Test::Live::M3U8->parse($r->{body}) : undef;
}


sub last_msn {
    my ($name) = @_;

    my $playlist = playlist($name) or return 0;

    return $playlist->last_msn();
}


sub blocks {
    for my $fd (glob '/proc/' . $t->master() . '/fd/*') {
        next unless (readlink($fd) // '') =~ /memfd:ngx_live/;
        return (stat $fd)[12] * 512;
    }

    die "no memfd\n";
}


# Listed segments that are not there, though the newest playlist lists them.
sub missing {
    my ($name) = @_;

    my @missing;

    for my $segment (@{ (playlist($name) || return)->{segments} }) {
        my $url = "/live/$name/source/$segment->{uri}";

        next if $t->get($url)->{status} == 200;

        push @missing, $url
            if grep { $_->{uri} eq $segment->{uri} }
               @{ playlist($name)->{segments} };
    }

    return @missing;
}


sub window_of {
    my ($name) = @_;

    my $playlist = playlist($name) or return 0;

    return sum0 map { $_->{duration} } @{ $playlist->{segments} };
}


# --- tests --------------------------------------------------------------------

sub test_pressure {
    start($_) for qw/ one two three /;

    # far longer than it takes to fill the zone, were nothing to go
    ok($t->wait_for(sub { last_msn('three') >= 16 }, 60, 'segment 16'),
       'more is published than the zone can hold');

    my (@missing, @short, $old, $most);
    $most = $old = 0;

    for (1 .. 10) {
        for my $name (qw/ one two three /) {
            push @missing, missing($name);
            push @short, "$name: " . window_of($name)
                if window_of($name) < $WINDOW;
        }

        $most = blocks() if $most < blocks();
        sleep 0.1;
    }

    is_deeply(\@missing, [], 'listed segments are kept');
    is_deeply(\@short, [], 'and all of the window is listed');
    cmp_ok($most, '<=', $BUDGET + 256 * 1024, 'memory is bounded by the zone');
    cmp_ok($most, '>', $BUDGET * 0.7, 'and made use of');

    my $last = playlist('one')->{segments}[0];

    is($t->get('/live/one/source/'
               . $last->{uri} =~ s/\d+\.m4s/($last->{msn} - 7) . '.m4s'/er)
         ->{status}, 404, 'what no playlist lists went first');
    is(scalar(() = $t->log($full)), 0, 'no publication has ended');
}


sub test_refused {
    my $refused;

    start('four');
    ok($t->wait_for(sub { last_msn('four') }, 20, 'stream four'),
       'one more publisher is taken');

    ok($t->wait_for(sub {
        my $client = Test::Live::RTMP->new(port => $t->port(1935));

        $client->handshake();
        $client->connect('live');

        my $info = $client->publish('five');
        $client->close();

        return $info && $info->{level} eq 'error' ? $refused = $info : 0;
    }, 30, 'refusal'), 'when the zone is full, publishing is refused');

    is($refused->{code}, 'NetStream.Publish.Denied', 'with a code');
    like($refused->{description}, qr/the live zone is full/,
         'and a clear onStatus (RTMP-70)');
    ok(scalar(() = $t->log(qr/publishing "five" refused: the live zone is/)),
       'and a log line');
    ok($t->wait_for(sub { ($t->read_file('stream.log') // '')
                          =~ m{^live/five refused }m }, 10, 'access log'),
       '$live_state says so in the access log');
}


sub test_others_go_on {
    my %before = map { $_ => last_msn($_) } keys %publishers;

    for my $name (sort keys %publishers) {
        ok($t->wait_for(sub {
            last_msn($name) >= $before{$name} + 3
                || grep { m{live/$name"} } $t->log($full)
        }, 20, 'progress'), "$name goes on, or its end is in the log");

        is_deeply([ missing($name) ], [], "$name: what it lists is there");
    }

    my $going = grep { last_msn($_) > $before{$_} } keys %publishers;

    cmp_ok($going, '>=', 3, 'most go on');
    cmp_ok(blocks(), '<=', $BUDGET + 256 * 1024,
           'memory is bounded by the zone');
    is($t->get('/streams')->{status}, 200, 'the API answers');
}


sub test_recovers {
    my @left = sort keys %publishers;
    my $one = pop @left;

    for my $name (@left) {
        kill 'KILL', $publishers{$name};
        waitpid delete $publishers{$name}, 0;
    }

    ok($t->wait_for(sub {
        my $client = eval {
            Test::Live::RTMP->start(port => $t->port(1935), app => 'live',
                                    name => 'after')
        };

        $client->close() if $client;

        return $client;
    }, 40, 'publication'), 'when publishers leave, others may come');

    start('new');

    ok($t->wait_for(sub { last_msn('new') >= 2 }, 20, 'stream new'),
       'and are served');
    is_deeply([ missing('new') ], [], 'all of it');

    kill 'KILL', $_ for values %publishers;
    waitpid $_, 0 for values %publishers;
    %publishers = ();

    ok($t->wait_for(sub { blocks() == 0 }, 40, 'empty zone'),
       'nothing is left in the end');
}
