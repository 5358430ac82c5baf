#!/usr/bin/env perl

# alone
#
# When the machine cannot keep up, work is left out in a defined order, the
# source never, and comes back later (invariant 6).

use strict;
use warnings;

use Test::Live;
use Test::Live::Ladder;
use Test::Live::M3U8;
use Test::Live::RTMP;
use Test::More;
use Time::HiRes qw/ time sleep /;

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
    window 120s;
    resume 1s;
    transcode always;

    # what nobody can do in real time
    application slow {
        rendition source copy;
        rendition high size=640x360 video=1m preset=placebo;
        rendition low  size=160x90 video=100k preset=ultrafast;
    }

}

stream {
    server { listen 127.0.0.1:%%PORT_1935%% reuseport; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /slow/ { live_play slow; }
    }
}
CONF

$Test::Live::Ladder::segment = 1;

$t->run();

test_shedding();

done_testing();


# --- helpers ------------------------------------------------------------------

# The lines of the log about overload, shortened.
sub events {
    my @events;

    for ($t->log(qr/sheds load|keeps up|every other|all frames|pauses|goes on/)) {
        if (/level (\d+)/) {
            my $level = $1;
            push @events, (/sheds/ ? 'up ' : 'down ') . $level;

        } elsif (/rendition "(\w+)" (has every|has all|pauses|goes)/) {
            push @events, "$1 $2";
        }
    }

    return @events;
}


# Sends at the speed of the frames until the sub is true: 0 when that takes
# longer.
sub realtime_until {
    my ($p, $seconds, $sub) = @_;

    my ($start, $at) = (time(), $p->{at});
    my $next = $start;

    while (time() - $start < $seconds) {
        $p->upto($at + 1000 * (time() - $start));

        if (time() > $next) {
            return 1 if $sub->();
            $next = time() + 0.2;
        }

        sleep 0.02;
    }

    return 0;
}


# A clip, over and over.
sub repeated {
    my ($times, %clip) = @_;

    my $tags = Test::Live::RTMP::flv_tags($t->clip(%clip));
    my $length = 1000 * $clip{seconds};

    return [ @$tags, map { my $n = $_;
                           map { +{ %$_, timestamp => $_->{timestamp}
                                                      + $n * $length } }
                           grep { $_->{type} != 18
                                  && ord(substr $_->{payload}, 1, 1) == 1 }
                           @$tags } 1 .. $times - 1 ];
}


# --- overload -----------------------------------------------------------------

sub test_shedding {
    my $tags = repeated(10, size => '640x360', fps => 30, gop => 30,
                        seconds => 10, audio => 0, bframes => 2);
    my $p = publisher($t, 'slow/a', $tags);

    ok(realtime_until($p, 40, sub { grep { /high pauses/ } events() }),
       'a rung that is too much for the machine pauses');

    my @events = events();
    my %at = map { $events[$_] => $_ } reverse 0 .. $#events;

    is($events[0], 'up 1', 'the first level has to do with no rung');
    cmp_ok($at{'high has every'} // -1, '>', $at{'up 2'} // 99,
           'at the second the highest rung has every other frame');
    cmp_ok($at{'high pauses'} // -1, '>', $at{'up 3'} // 99,
           'at the third it pauses');
    cmp_ok($at{'low has every'} // 99, '>', $at{'high pauses'} // 99,
           'the next one is let alone before that')
        if exists $at{'low has every'};

    ok(realtime_until($p, 45, sub { grep { /high goes/ } events() }),
       'later it goes on');
    like(join(' ', events()), qr/down \d.*high goes/, 'as the level falls');

    realtime_until($p, 2, sub { 0 });
    $p->stop();

    my %r = map { $_ => fetch($t, "/slow/a/$_") } qw/ source high low /;

    for my $name (sort keys %r) {
        my $r = $r{$name};

        is_deeply([ grep { !/CMAF-14/ } @{ $r->{errors} } ], [],
                  "$name: by the rules");

        # it may have been too slow for a single one
        is_deeply([ grep { !/has no media/ || $name ne 'high' }
                    decode_errors($t, $r) ], [], "$name: decodes");
    }

    my $frames = samples($r{source});
    my @gaps = map { $_->{msn} } grep { $_->{gap} } @{ $r{high}{segments} };

    cmp_ok(scalar @gaps, '>', 0, 'what the rung left out are GAP segments');
    is(scalar(grep { $_->{gap} } map { @{ $r{$_}{segments} } }
              qw/ source low /), 0, 'the others have none');
    # the stream ends between frames that are not in order
    pop @{ $r{$_}{segments} } for keys %r;

    # with every other frame, what is before a gap ends with its last one
    my %slack = (high => 0.07, low => 0);

    is_deeply([ cut_errors($r{source}, $r{$_}, parts => 0,
                           slack => $slack{$_}) ], [],
              "$_: cut where the source is, gaps too") for qw/ high low /;
    is($frames, scalar(grep { $_->{type} == 9 && ord(substr $_->{payload}, 1, 1) == 1 }
                       @$tags[0 .. $p->{next} - 1]), 'the source has every frame');
    is_deeply([ closed_errors($r{$_}) ], [], "$_: closed segments")
        for qw/ high low /;
}
