#!/usr/bin/env perl

# alone
#
# Many streams on several workers; nothing stays behind of streams that have
# ended (invariant 6).  LADDER_CYCLES publications are compared, 40 where
# nothing is said.

use strict;
use warnings;

use List::Util qw/ sum0 /;
use Test::Live;
use Test::Live::Ladder;
use Test::Live::RTMP;
use Test::More;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }

thread_pool live threads=2;

live {
    zone 512m;
    thread_pool live;
    segment 1s max=2s;
    part 200ms;
    window 20s;
    resume 1s;
    transcode always;

    application brief {
        window 6s;
        rendition source copy;
        rendition low  size=160x90 video=100k preset=ultrafast;
        rendition tiny size=96x54 video=50k preset=ultrafast audio=48k;
    }

    application many {
        rendition source copy;
        rendition low  size=160x90 video=100k preset=ultrafast;
        rendition tiny size=96x54 video=50k preset=ultrafast audio=48k;
    }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%% reuseport; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /brief/ { live_play brief; }
        location /many/ { live_play many; }
    }
}
CONF

my $CYCLES = $ENV{LADDER_CYCLES} || 40;

$Test::Live::Ladder::segment = 1;

$t->run();

test_many();
test_cycles();

done_testing();


# --- many streams -------------------------------------------------------------

sub test_many {
    my @names = map { "m$_" } 1 .. 6;
    my @pids = map { $t->ffmpeg_publish("many/$_", loop => -1, clip => {
                         size => '160x90', gop => 30, seconds => 10 }) }
               @names;

    for my $name (@names) {
        for my $rung (qw/ low tiny audio-48k /) {
            ok($t->wait_for(sub {
                my $p = media_playlist($t, "/many/$name/$rung",
                                       timeout => 1) or return 0;
                return @{ $p->{segments} } >= 2;
            }, 30, "$name/$rung"), "of six streams $name has $rung");
        }
    }

    my %owners = map { /\] (\d+)#/ ? ($1 => 1) : () }
                 $t->log(qr{publishing begins.*many/m});

    cmp_ok(scalar keys %owners, '<=', $t->workers(), 'on the workers there are');
    $t->end($_) for @pids;

    for my $name (@names) {
        my ($source, $low) = map { fetch($t, "/many/$name/$_") }
                             qw/ source low /;

        is_deeply([ @{ $low->{errors} }, cut_errors($source, $low) ], [],
                  "$name: by the rules, cut where the source is");
    }
}


# --- nothing is left ----------------------------------------------------------

sub resident {
    my $kb = 0;

    for my $pid ($t->workers()) {
        my ($anon) = Test::Live::slurp_proc($pid, 'status')
                     =~ /^RssAnon:\s*(\d+) kB/m;
        $kb += $anon;
    }

    return $kb;
}


sub descriptors {
    return sum0 map { my @fds = glob "/proc/$_/fd/*"; scalar @fds }
                $t->workers();
}


sub test_cycles {
    my $tags = Test::Live::RTMP::flv_tags(
        $t->clip(size => '160x90', gop => 30, seconds => 3));
    my $warm = 10;
    my ($before, $fds, $failed, @sizes) = (0, 0, 0);

    for my $n (1 .. $warm + $CYCLES) {
        send_whole($t, "brief/c$n", $tags, qw/ low tiny /) or $failed++;

        push @sizes, resident();
        ($before, $fds) = (resident(), descriptors()) if $n == $warm;
    }

    is($failed, 0, "$CYCLES publications");

    my $growth = resident() - $before;

    note("kB: @sizes");
    cmp_ok($growth, '<', 8192 + 20 * $CYCLES,
           "after $CYCLES publications the workers are $growth kB larger");
    ok($t->wait_for(sub { descriptors() <= $fds + 8 }, 10, 'descriptors'),
       'no descriptor is left');

    ok($t->wait_for(sub {
        my ($fd) = grep { (readlink($_) // '') =~ /memfd:ngx_live/ }
                   glob '/proc/' . $t->master() . '/fd/*';
        return (stat $fd)[12] == 0;
    }, 60, 'empty zone'), 'no media are left');
}
