#!/usr/bin/env perl

# Picture and sound of rungs are in step at the end of an hour as they were at
# its start: nothing drifts.  The hour is sent in a minute or less.

use strict;
use warnings;

use Test::Live;
use Test::Live::Ladder;
use Test::Live::RTMP;
use Test::Live::Steps;
use Test::More;
use Time::HiRes qw/ time sleep /;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 1;
events { }

thread_pool live threads=2;

live {
    zone 128m;
    thread_pool live;
    segment 8s max=9s;
    part 0;
    window 60s;
    resume 1s;
    publish_timeout 1h;
    publish_stall 1h;
    transcode always;

    application live {
        rendition source copy;
        rendition low size=64x36 video=50k preset=ultrafast audio=32k
                      arate=22050;
    }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ { live_play live; }
    }
}
CONF

# 16 s are 16 pictures and 375 frames of audio at 24 kHz, whole numbers both
my $PERIOD = 16;
my $HOUR = 3600;

$t->run();

test_hour();

done_testing();


sub is_frame {
    my ($tag, $type) = @_;

    return $tag->{type} == $type && ord(substr $tag->{payload}, 1, 1) == 1;
}


# A flash and a beep each 8 s, for an hour; times are what an encoder rounds to
# milliseconds.
sub hour {
    my @clip = @{ Test::Live::RTMP::flv_tags($t->clip(
        size => '64x36', fps => 1, gop => 8, rate => 24000, channels => 1,
        seconds => 2 * $PERIOD, extra => [
            '-vf', 'drawbox=t=fill:c=black,drawbox=t=fill:c=white:'
                   . "enable='eq(mod(t,8),4)'",
            '-af', "aeval='if(lt(mod(t+4,8),0.1),0.9*sin(2*PI*1500*t),0)'"
                   . ':c=same' ])) };

    my @video = grep { is_frame($_, 9) } @clip;
    my @audio = grep { is_frame($_, 8) } @clip;
    my @head = grep { $_->{type} == 9 || $_->{type} == 8 }
               grep { !is_frame($_, 9) && !is_frame($_, 8) } @clip;

    # from the second period on the coder has settled
    @video = @video[$PERIOD .. 2 * $PERIOD - 1];
    @audio = @audio[375 .. 749];

    my @tags = map { +{ %$_, timestamp => 0 } } @head;

    for my $n (0 .. int($HOUR / $PERIOD) - 1) {
        my $start = $n * $PERIOD * 1000;

        push @tags, sort { $a->{timestamp} <=> $b->{timestamp} }
            (map { +{ %{ $video[$_] }, timestamp => $start + $_ * 1000 } }
                 0 .. $#video),
            (map { +{ %{ $audio[$_] },
                      timestamp => $start + int($_ * 1024 / 24 + 0.5) } }
                 0 .. $#audio);
    }

    return \@tags;
}


# Not faster than it is transcoded: what is listed, every quarter of a minute.
sub test_hour {
    my $tags = hour();
    my $p = Test::Live::Steps->publish($t, 'live/hour', tags => $tags);
    my $started = time();
    my ($early, $ok) = (undef, 1);

    for my $second (1 .. $HOUR) {
        $p->upto($second * 1000);

        # one picture must not wait for another
        sleep 0.002;

        next if $second % 15 || $second < 60;

        $ok &&= $t->wait_for(sub {
            my $r = media_playlist($t, '/live/hour/low', timeout => 1);
            my $a = media_playlist($t, '/live/hour/audio-32k', timeout => 1);
            my $least = int($second / 8) - 3;

            return $r && $a && $r->last_msn() >= $least
                   && $a->last_msn() >= $least;
        }, 20, "rungs at $second s");

        last unless $ok;

        $early ||= measure() if $second == 90;
    }

    ok($ok, 'an hour, transcoded in ' . int(time() - $started) . ' s');
    is(scalar(() = $t->log(qr/sheds load|is left out: |cannot be/)), 0,
       'nothing was shed');
    $p->stop();

    my $late = measure();

    for my $when ([ 'after a minute', $early ], [ 'after an hour', $late ]) {
        my ($name, $m) = @$when;

        cmp_ok(scalar @{ $m->{apart} || [] }, '>=', 3, "$name: measured");
        is_deeply([ grep { abs($_) > 0.005 } @{ $m->{apart} } ], [],
                  "$name: in step within 5 ms of what came");
        is_deeply([ grep { abs($_) > 0.001 } @{ $m->{moved} } ], [],
                  "$name: flashes are where those of the source are");
        note(join ' ', map { sprintf '%.2f ms', 1000 * $_ }
                       @{ $m->{apart} });
    }
}


# Of what is listed now: how much further picture and sound are apart than in
# the source, and how far the picture is from the source's, s.
sub measure {
    my %at;

    for my $name (qw/ source low audio audio-32k /) {
        my $r = fetch($t, "/live/hour/$name", until => sub { 1 });
        my @times = $name =~ /^audio/ ? beeps($t, $r) : flashes($t, $r);

        # by the number of the flash
        $at{$name} = { map { int($_ / 8 + 0.25) => $_ } @times };
    }

    my @n = grep { my $n = $_; !grep { !exists $at{$_}{$n} } keys %at }
            sort { $a <=> $b } keys %{ $at{source} };

    return {
        apart => [ map { $at{'audio-32k'}{$_} - $at{low}{$_}
                         - ($at{audio}{$_} - $at{source}{$_}) } @n ],
        moved => [ map { $at{low}{$_} - $at{source}{$_} } @n ],
    };
}
