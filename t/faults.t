#!/usr/bin/env perl

# System calls fail while nginx runs (t/faults/shim.c, preloaded): nothing
# crashes, the cause is in the log once or seldom, and what is published when
# it has gone is served whole (invariants 4, 6 and 9).
#
# waits

use strict;
use warnings;

use IO::Socket::INET;
use List::Util qw/ sum0 /;
use JSON::PP qw/ decode_json /;
use Test::Live;
use Test::Live::Hook;
use Test::Live::Ladder;
use Test::Live::M3U8;
use Test::More;
use Time::HiRes qw/ time sleep /;

# of the shim, in its order
my @calls = qw/
    accept open memfd eventfd recv send write write_short punch read thread
    malloc clock
/;
my %call = map { $calls[$_] => $_ } 0 .. $#calls;

my $t = Test::Live->new();

$t->write_file('faults', "\0" x 4096);
$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }
thread_pool live threads=2;

live {
    zone 64m;
    thread_pool live;
    segment 500ms max=1s;
    window 4s;
    resume 500ms;

    application live { }

    application ladder {
        rendition source copy;
        rendition low size=160x90 video=100k preset=ultrafast audio=32k;
        transcode always;
    }

    application told {
        on_update http://127.0.0.1:%%PORT_8090%%/allow;
        callback_interval 1s;
    }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%% sndbuf=8k;
        location /live/ { live_play live; }
        location /ladder/ { live_play ladder; }
        location /streams { live_api live; }
    }
}
CONF

sysopen my $control, $t->dir() . '/faults', 2 or die "no control file: $!\n";
binmode $control;

my $shim = $t->dir() . '/shim.so';
my ($code, $output) = $t->command(
    qw/ cc -std=gnu11 -O2 -Wall -Wextra -Werror -shared -fPIC -o /, $shim,
    $t->root() . '/t/faults/shim.c', '-ldl');

is($code, 0, 'the shim is built') or BAIL_OUT($output);
$t->environment(LD_PRELOAD => $shim, FAULTS => $t->dir() . '/faults');

my %clip = (seconds => 3, gop => 15);
my %expect;
my $number = 0;

my $hook = Test::Live::Hook->new($t, 8090);

begin();
$t->run();

my @workers = $t->workers();

%expect = served('without a fault');
accepting();
opening();
receiving();
sending();
writing('write', qr/writing .* to the live zone failed.*No space left/);
writing('write_short', qr/writing .* to the live zone failed/);
punching();
reading();
threads();

# a sanitizer has an allocator of its own, before the one that fails
memory() unless $ENV{TEST_ASAN};

step();
set_back();

done_testing();


# --- faults -------------------------------------------------------------------

sub fault {
    my ($name, $rate) = @_;

    sysseek $control, 8 * $call{$name}, 0;
    syswrite $control, pack 'l l', $rate, 0;
}


# Switches it off; how often it was there.
sub fault_off {
    my ($name) = @_;

    sysseek $control, 8 * $call{$name}, 0;
    sysread $control, my $bytes, 8;
    fault($name, 0);

    return (unpack 'l l', $bytes)[1];
}


sub hits {
    my ($name) = @_;

    sysseek $control, 8 * $call{$name}, 0;
    sysread $control, my $bytes, 8;

    return (unpack 'l l', $bytes)[1];
}


# It was there, the workers are those of before, and all is well again.
sub is_over {
    my ($name, $what) = @_;

    cmp_ok(fault_off($name), '>', 0, "$what: it was so");
    is_deeply([ $t->workers() ], \@workers, "$what: no worker has died");
    served("$what: after that");
}


sub lines {
    my ($pattern, $mark) = @_;

    return grep { /$pattern/ } split /\n/, substr $t->log(), $mark;
}


# --- streams ------------------------------------------------------------------

# Publishes a clip; is all of it there?  The numbers of samples.
sub served {
    my ($what) = @_;

    my $stream = 'live/whole' . ++$number;
    my $pid = $t->ffmpeg_publish($stream, realtime => 0, clip => \%clip);

    is($t->wait_exit($pid, 60), 0, "$what, a clip is published");

    my %n;

    for my $rendition (qw/ source audio /) {
        my $fetched = fetch($t, "/$stream/$rendition");

        is_deeply($fetched->{errors}, [], "$what, its $rendition is right");
        $n{$rendition} = sum0 map { scalar @{ $_->{samples} || [] } }
                              @{ $fetched->{segments} };
    }

    is_deeply(\%n, \%expect, "$what, it is served whole") if %expect;

    return %n;
}


sub live_stream {
    my ($stream, %option) = @_;

    my $pid = $t->ffmpeg_publish($stream, clip => \%clip, loop => -1,
                                 %option);

    $t->wait_for(sub { last_msn("$stream/source") >= 3 }, 20, $stream);

    return $pid;
}


sub last_msn {
    my ($path) = @_;

    my $r = $t->get("/$path/playlist.m3u8");

    return $r->{status} == 200
           ? Test::Live::M3U8->parse($r->{body})->last_msn() : 0;
}


# --- the cases ----------------------------------------------------------------

# What the zone cannot do without: nginx does not start, and says why.
sub begin {
    for (qw/ memfd eventfd /) {
        fault($_, 1000);

        my ($code, $output) = $t->nginx_t();

        isnt($code, 0, "no $_: the configuration is refused");
        like($output, qr/\[emerg\].*$_\w*\(\) of the live zone failed \(24:/,
             'with the cause');
        fault_off($_);
    }
}


sub accepting {
    my $mark = length $t->log();

    $t->allow_log(qr/\[crit\].* accept4?\(\) failed \(24/);
    fault('accept', 1000);

    my @waiting = map { IO::Socket::INET->new(
        PeerAddr => '127.0.0.1:' . $t->port($_ % 2 ? 1935 : 8080)) } 1 .. 20;

    $t->wait_for(sub { hits('accept') >= 4 }, 20, 'accept()');

    my $hits = hits('accept');

    is(scalar(() = lines(qr/accept4?\(\) failed/, $mark)), $hits,
       'no descriptors for connections: it is in the log');
    cmp_ok($hits, '<', 100, 'and not all the time');
    is_over('accept', 'no descriptors for connections');
}


sub opening {
    fault('open', 1000);
    served('no descriptors for files: meanwhile');
    fault_off('open');
    is_deeply([ $t->workers() ], \@workers, 'no worker needs one');
}


sub receiving {
    fault('recv', 500);
    served('bytes come one by one: meanwhile');
    is_over('recv', 'bytes come one by one');
}


sub sending {
    fault('send', 500);
    served('bytes go one by one: meanwhile');
    is_over('send', 'bytes go one by one');
}


# The publication ends; what was served before stays.
sub writing {
    my ($name, $pattern) = @_;

    my $stream = "live/$name";
    my $pid = live_stream($stream);
    my $mark = length $t->log();

    $t->allow_log($pattern);
    $t->allow_log(qr/the live zone/);
    fault($name, 1000);
    ok(defined $t->wait_exit($pid, 20), "$name: the publication ends");

    my @lines = lines($pattern, $mark);

    cmp_ok(scalar @lines, '>=', 1, "$name: the cause is in the log");
    cmp_ok(scalar @lines, '<=', 3, "$name: and seldom");
    like($lines[0], qr/memory/, "$name: and what to do");
    is_over($name, $name);
}


# Memory cannot be given back: it is tried again.
sub punching {
    my $pid = live_stream('live/punch');
    my $mark = length $t->log();

    $t->allow_log(qr/fallocate\(\) of the live zone failed/);
    fault('punch', 1000);
    ok($t->wait_for(sub { hits('punch') >= 8 }, 30, 'punch'),
       'memory cannot be given back');
    ok($t->wait_for(sub { last_msn('live/punch/source') >= 3 }, 20,
                    'segments'), 'the stream goes on');

    my @lines = lines(qr/fallocate\(\)/, $mark);

    cmp_ok(scalar @lines, '>=', 1, 'it is in the log');
    cmp_ok(scalar @lines, '<=', 6, 'and seldom');
    is_over('punch', 'memory cannot be given back');
    $t->end($pid);
    ok($t->wait_for(sub { $t->get('/streams')->{body} !~ /"name"/ }, 40,
                    'end of streams'), 'all streams end');
    ok($t->wait_for(sub { blocks() == 0 }, 20, 'empty zone'),
       'it was given back later');
}


sub blocks {
    for my $fd (glob '/proc/' . $t->master() . '/fd/*') {
        next unless (readlink($fd) // '') =~ /memfd:ngx_live/;
        return (stat $fd)[12] * 512;
    }

    die "no memfd\n";
}


# MPEG-TS is made of what is read back.
sub reading {
    my $pid = live_stream('live/read');
    my $mark = length $t->log();

    my $p = Test::Live::M3U8->parse(
        $t->get('/live/read/ts/playlist.m3u8')->{body});

    fault('read', 1000);

    my $r = $t->get("/live/read/ts/$p->{segments}[-1]{uri}");

    isnt($r->{status}, 200, 'nothing can be read back: no MPEG-TS');
    is(scalar(() = lines(qr/cannot be made MPEG-TS: reading the live zone/,
                         $mark)), 1, 'for a reason that is in the log');
    is_over('read', 'nothing can be read back');

    my $msn = last_msn('live/read/ts');

    ok($t->wait_for(sub { last_msn('live/read/ts') > $msn }, 20, 'segment'),
       'the stream goes on');
    $p = Test::Live::M3U8->parse(
        $t->get('/live/read/ts/playlist.m3u8')->{body});
    is($t->get("/live/read/ts/$p->{segments}[-1]{uri}")->{status}, 200,
       'also as MPEG-TS');
    $t->end($pid);
}


# A new worker gets no threads: nginx goes on without it, and has all with the
# next reload.
sub threads {
    my $pid = live_stream('ladder/thread');
    my ($line) = reverse $t->log(qr{publishing begins.*"ladder/thread"});
    my ($owner) = $line =~ /\] (\d+)#/;
    my ($other) = grep { $_ != $owner } @workers;
    my $mark = length $t->log();

    $t->allow_log(qr/worker process $other exited on signal 9/);
    $t->allow_log(qr/pthread_create\(\) failed \(11/);
    $t->allow_log(qr/exited with fatal code 2 and cannot be respawned/);
    fault('thread', 1000);
    kill 'KILL', $other;
    ok($t->wait_for(sub { lines(qr/cannot be respawned/, $mark) }, 20, 'end'),
       'no threads: a new worker is not started');
    is(scalar(() = lines(qr/pthread_create\(\) failed/, $mark)), 1,
       'for a reason that is in the log');

    my $msn = last_msn('ladder/thread/low');

    ok($t->wait_for(sub { last_msn('ladder/thread/low') >= $msn + 2 }, 30,
                    'segments'), 'streams of the other one go on');
    cmp_ok(fault_off('thread'), '>', 0, 'it was so');
    ok($t->reload(), 'threads again: nginx is reloaded');
    @workers = $t->workers();
    is(scalar @workers, 2, 'and has all its workers');
    served('after no threads');
    $t->end($pid);
    $pid = live_stream('ladder/later');
    ok($t->wait_for(sub { last_msn('ladder/later/low') >= 2 }, 30, 'a rung'),
       'a later publication has its rung');
    $t->end($pid);
}


# The time of day is set: what has come late by then is dated later, by 100 ppm
# at most, the same in all tracks, and nothing is discontinuous (HLS-21).
sub step {
    my $pid = live_stream('live/step');
    my @before = origins('live/step');

    fault('clock', 700);

    my $end = time() + 60;
    my @after;

    ok($t->wait_for(sub {
           @after = origins('live/step');
           return $after[0] - $before[0] > 0.0015;
       }, 60, 'dates that move'), 'a step of the clock: dates follow');

    my $moved = $after[0] - $before[0];
    my $rate = ($moved - 0.001) / (60 - ($end - time()));

    cmp_ok($rate, '<=', 1e-4, sprintf 'slowly: %.2f ms', 1000 * $moved);
    cmp_ok(abs($after[0] - $after[1]), '<', 0.0022, 'sound as the pictures');
    is($after[2], $before[2], 'without a discontinuity');

    fault('clock', 0);
    $t->end($pid);
}


# An hour back: no figure becomes one of centuries.
sub set_back {
    my $pid = live_stream('live/back');
    my $told_of = $t->ffmpeg_publish('told/back', clip => \%clip, loop => -1);

    $hook->wait_requests(1);

    fault('clock', -3_600_000);

    my $told;

    ok($t->wait_for(sub {
           $told = eval { decode_json($t->get('/streams/back')->{body}) };
           return $told && $told->{duration} < 1;
       }, 10, 'the new time'), 'the clock is set back: it is no time ago');
    is($told->{bitrate}, 0, 'at no bit rate');

    my $n = $hook->requests();
    my @updates = $hook->wait_requests($n + 2);

    cmp_ok($updates[-1]{fields}{time}, '>=', $n + 2,
           'callbacks have the time since, by whatever clock');

    $t->end($_) for $pid, $told_of;
    ok($t->wait_for(sub { $t->log() =~ m{published for 0\.000s: .*"live/back"} },
                    15, 'the totals'), 'the log has it so, too');

    fault('clock', 0);
}


# What is at 0 of the timeline by the newest date, of pictures and of sound,
# and how many discontinuities there were.
sub origins {
    my ($stream) = @_;

    my @newest = map { fetch($t, "/$stream/$_",
                             until => sub { @{ $_[0]{segments} } >= 2 }
                            )->{segments}[-1] } qw/ source audio /;

    return (map({ $_->{pdt} - $_->{first} } @newest), $newest[0]{dsn});
}


# One of 50 allocations of nginx and of the module fails.
sub memory {
    my @pids = map { live_stream($_) } qw{ live/m1 live/m2 ladder/m3 };

    $t->allow_log(qr/\[emerg\].*(?:malloc|posix_memalign)\(/);
    fault('malloc', 20);

    my $end = time() + 4;

    while (time() < $end) {
        for my $path ('/streams', '/live/m1/playlist.m3u8',
                      '/live/m1/source/playlist.m3u8',
                      '/live/m2/ts/playlist.m3u8', '/live/m2/manifest.mpd')
        {
            $t->get($path, timeout => 2);
        }

        for my $i (0 .. $#pids) {
            $pids[$i] = $t->ffmpeg_publish(
                (qw{ live/m1 live/m2 ladder/m3 })[$i], clip => \%clip,
                loop => -1) unless $t->is_running($pids[$i]);
        }
    }

    is_over('malloc', 'no memory now and then');
    $t->end($_) for @pids;
}
