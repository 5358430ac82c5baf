#!/usr/bin/env perl

# What a publisher loses: frames that never come, of picture, sound or both,
# around every boundary; and codecs that change.  Players that follow in real
# time find nothing against the rules (HLS-10, HLS-21, HLS-46, HLS-50..53,
# DASH-16, DASH-24, DASH-30, DASH-66, CMAF-14, CMAF-56, HLS-84).
#
# HOLES_SEED=N has others at random instead, HOLES_ONLY=PATTERN those whose
# names match, and HOLES_DUMP=DIR keeps what was served.

# asan

use strict;
use warnings;

use Test::Live;
use Test::Live::Crawl::DASH;
use Test::Live::Crawl::HLS;
use Test::Live::Loop;
use Test::Live::RTMP;
use Test::Live::TS;
use Test::More;
use Time::HiRes qw/ time /;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 1;
events { worker_connections 2048; }

thread_pool live threads=2;

live {
    zone 64m;
    thread_pool live;
    segment 1s max=4s;
    window 12s;
    resume 1s;

    application live { part 400ms; }
    application plain { part 0; }

    application ladder {
        part 0;
        transcode always;
        rendition source copy;
        rendition tiny size=96x54 video=50k preset=ultrafast;
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
        location /plain/ { live_play plain; }
        location /ladder/ { live_play ladder; }
    }
}
CONF

my ($VIDEO, $AUDIO) = (9, 8);

my %small = (seconds => 12, fps => 15, gop => 15);
my $one = tags(%small, size => '160x90', rate => 48000);
my $two = tags(%small, size => '192x108', rate => 44100);
my $film = tags(%small, size => '160x90', rate => 48000, bframes => 2);

my %cases = (
    'both 0.6 s in the middle'  => [ lose($one, 3200, 600) ],
    'both 0.6 s over a key'     => [ lose($one, 3700, 600) ],
    'both 1.4 s in the middle'  => [ lose($one, 3100, 1400) ],
    'both 1.4 s up to a key'    => [ lose($one, 3600, 1400) ],
    'both 0.6 s behind a part'  => [ lose($one, 3395, 600) ],
    'picture 0.6 s behind a part' => [ lose($one, 3395, 600, $VIDEO) ],
    'both 0.3 s behind a part'  => [ lose($one, 3395, 300) ],
    'both 1 s before a key'     => [ lose($one, 3940, 1055) ],
    'both 1.4 s from a key'     => [ lose($one, 4000, 1400) ],
    'both 2.5 s'                => [ lose($one, 3100, 2500) ],
    'sound 0.6 s'               => [ lose($one, 3200, 600, $AUDIO) ],
    'sound 1.4 s'               => [ lose($one, 3300, 1400, $AUDIO) ],
    'sound 3 s'                 => [ lose($one, 3300, 3000, $AUDIO) ],
    'picture 0.6 s'             => [ lose($one, 3200, 600, $VIDEO) ],
    'picture 1.4 s'             => [ lose($one, 3300, 1400, $VIDEO) ],
    'picture 3 s'               => [ lose($one, 3300, 3000, $VIDEO) ],
    'change in the middle'      => [ change($one, $two, 3500) ],
    'change at a key'           => [ change($one, $two, 4000) ],
    'change to the same, off its frames' => [ change($one, $one, 5469) ],
    'no b-frames any more'      => [ change($film, $two, 3500) ],
    'no b-frames any more, at a key' => [ change($film, $one, 4000) ],
    'b-frames from now on'      => [ change($one, $film, 3500) ],
    'forward 5 s'               => [ jump($one, 3400, 5000) ],
    'back 3 s'                  => [ jump(shifted($one, 7000), 10400, -3000) ],
    'both lost, change'         => [ change_lost($one, $two, 3000, 1300) ],
    'both lost, jump'           => [ jump([ lose($one, 3100, 1400) ], 3100,
                                          36_000_000) ],
    'both lost over a key, jump' => [ jump([ lose($film, 3435, 700) ], 4514,
                                           36_000_000) ],
    'both 70 ms before a key'   => [ lose($one, 2880, 70) ],
    'change, a key is due'      => [ change($film, $two, 3094) ],
    'change, sound lost'        => [ lose([ change($two, $one, 3988) ], 3960,
                                          560, $AUDIO) ],
    'change, forward 5 s'       => [ jump([ change($two, $one, 2766) ], 2817,
                                          5000) ],
    'picture lost, jump'        => [ jump([ lose($one, 2460, 1148, $AUDIO) ],
                                          6163, 36_000_000, 3754) ],
    'picture lost, forward 5 s' => [ jump(shifted([ lose($one, 3802, 2637,
                                          $VIDEO) ], 20000), 23107, 5000) ],
);

%cases = random_cases($ENV{HOLES_SEED}) if $ENV{HOLES_SEED};
delete @cases{ grep { $_ !~ /$ENV{HOLES_ONLY}/ } keys %cases }
    if $ENV{HOLES_ONLY};

# names, of which some are enough without low latency
my @plain = grep { $ENV{HOLES_SEED}
                   || /^change|^forward|^no b|^sound|both 1.4 s in|lost, / }
            keys %cases;

$t->run();

follow('live', grep { /^both/ } sort keys %cases);
follow('live', grep { /^[^bps]/ } sort keys %cases);
follow('live', grep { /^(?:ba|b-|p|s)/ } sort keys %cases);
follow('ladder', grep { /^both 1 s|behind a part$|^picture 1/ }
                 sort keys %cases);
@plain = sort @plain;
follow('plain', splice @plain, 0, @plain / 2);
follow('plain', @plain);

done_testing();


# Names say what is done, in ms of the clip.
sub random_cases {
    my ($seed) = @_;

    my %some;

    srand $seed;

    for my $n (1 .. 12) {
        my @clips = ($one, $two, $film);
        my @tags = @{ $clips[rand 3] };
        my $what = $n;

        if (rand() < 0.4) {
            my ($at, $to) = (int(2500 + rand 4000), int rand 3);

            @tags = change(\@tags, $clips[$to], $at);
            $what .= " change $at $to";
        }

        for (1 .. 1 + rand 3) {
            my ($from, $ms) = (int(2100 + rand 5000),
                               int(50 + rand(rand() < 0.2 ? 3500 : 1500)));
            my $types = ([], [$VIDEO], [$AUDIO])[rand 3];

            @tags = lose(\@tags, $from, $ms, @$types);
            $what .= " lose $from+$ms @$types";
        }

        if (rand() < 0.3) {
            my ($at, $by) = (int(2500 + rand 4000),
                             (5000, 36_000_000, -3000)[rand 3]);

            @tags = jump(shifted(\@tags, 20000), $at + 20000, $by);
            $what .= " jump $at $by";
        }

        $some{$what} = \@tags;
    }

    return %some;
}


# --- input --------------------------------------------------------------------

sub tags {
    my (@option) = @_;

    return [ grep { $_->{type} != 18 }
             @{ Test::Live::RTMP::flv_tags($t->clip(@option)) } ];
}


sub is_frame { return ord(substr $_[0]{payload}, 1, 1) == 1 }


sub lose {
    my ($tags, $from, $ms, @types) = @_;

    @types = ($VIDEO, $AUDIO) unless @types;

    return grep {
        my $tag = $_;
        !is_frame($tag) || $tag->{timestamp} < $from
        || $tag->{timestamp} >= $from + $ms
        || !grep { $_ == $tag->{type} } @types;
    } @$tags;
}


sub shifted {
    my ($tags, $by) = @_;

    return [ map { +{ %$_, timestamp => $_->{timestamp} + $by,
                      at => $_->{timestamp} } } @$tags ];
}


# Pictures are lost from $lost on until then.
sub jump {
    my ($tags, $from, $by, $lost) = @_;

    return map { +{ %$_, at => $_->{at} // $_->{timestamp},
                    timestamp => ($_->{timestamp}
                        + ($_->{timestamp} >= $from ? $by : 0)) % 2 ** 32 } }
           grep { !$lost || $_->{type} == $AUDIO || $_->{timestamp} < $lost
                  || $_->{timestamp} >= 6918 } @$tags;
}


sub change {
    my ($from, $to, $at) = @_;

    return ((grep { $_->{timestamp} < $at } @$from), @{ shifted_at($to, $at) });
}


sub shifted_at {
    my ($tags, $by) = @_;

    return [ map { +{ %$_, timestamp => $_->{timestamp} + $by } } @$tags ];
}


sub change_lost {
    my ($from, $to, $at, $ms) = @_;

    return ((grep { $_->{timestamp} < $at } @$from),
            @{ shifted_at($to, $at + $ms) });
}


# --- what is served -----------------------------------------------------------

sub stream {
    my ($name) = @_;

    $name =~ s/[^\w.]+/-/g;

    return $name;
}


sub follow {
    my ($app, @some) = @_;

    my $loop = Test::Live::Loop->new(port => $t->port(8080));
    my %of;

    for my $name (@some) {
        my $base = "/$app/" . stream($name);
        my $of = $of{$name} = { name => $name, base => $base, next => 0,
            tags => [ grep { ($_->{at} // $_->{timestamp}) < 9000 }
                      @{ $cases{$name} } ],
            hls => Test::Live::Crawl::HLS->new(loop => $loop, base => $base),
            dash => Test::Live::Crawl::DASH->new(loop => $loop, base => $base),
            client => Test::Live::RTMP->start(port => $t->port(1935),
                app => $app, name => stream($name)),
            begin => time() };

        $of->{$_}->start() for qw/ hls dash /;
        feed($loop, $of);
    }

    $loop->run(sub {
        my $left = 0;

        for my $of (values %of) {
            my $ended = $of->{over} && $of->{hls}->ended()
                        && $of->{dash}->ended();

            $left++ unless $ended;
            ts($of) if $ended && !$of->{ts};
        }

        return !$left;
    }, 60);

    $_->stop() for map { @$_{qw/ hls dash /} } values %of;
    $loop->drop();

    for my $of (map { $of{$_} } @some) {
        my $name = "$app, $of->{name}";
        my $away = [ [ $of->{over} - 0.2, 9e9 ] ];
        my $hls = $of->{hls}->check(away => $away);
        my $dash = $of->{dash}->check(away => $away, hls => $hls->{tracks});

        # what was lost cannot be made to last longer there
        my @ts = grep { $name !~ /both|sound|lost|lose/
                        || !/HLS-86: audio begins \d/ } @{ $of->{ts} || [] };

        $of->{$_}->dump("$ENV{HOLES_DUMP}/" . stream($name) . "/$_")
            for $ENV{HOLES_DUMP} ? qw/ hls dash / : ();

        is_empty($hls->{violations}, "$name: HLS");
        is_empty($dash->{violations}, "$name: DASH");
        is_empty(\@ts, "$name: MPEG-TS");

        my $most = $ENV{HOLES_SEED} ? 4 : 8;

        cmp_ok($hls->{counts}{segments} // 0, '>=', $most, "$name: segments");
        cmp_ok($dash->{counts}{segments} // 0, '>=', $most, "$name: of DASH");
    }
}


# All of them are told.
sub is_empty {
    my ($found, $name) = @_;

    ok(!@$found, $name) or diag(map { "$_\n" } @$found);
}


sub feed {
    my ($loop, $of) = @_;

    while (my $tag = $of->{tags}[$of->{next}]) {
        my $wait = $of->{begin} - time()
                   + ($tag->{at} // $tag->{timestamp}) / 1000;

        if ($wait > 0) {
            $loop->after($wait, sub { feed($loop, $of) });
            return;
        }

        $of->{client}->send_tags([ $tag ]);
        $of->{next}++;
    }

    $of->{over} = time();
    $of->{client}->stop(stream($of->{name}));
}


sub ts {
    my ($of) = @_;

    my $p = Test::Live::M3U8->parse(
        $t->get("$of->{base}/ts/playlist.m3u8")->{body});
    my @errors = @{ $p->{errors} };
    my $before;

    for my $segment (@{ $p->{segments} }) {
        next if $segment->{gap};

        my $r = $t->get("$of->{base}/ts/$segment->{uri}");
        my $ts = Test::Live::TS->segment($r->{body}, key => 0);

        push @errors, map { "$segment->{uri}: $_" } @{ $ts->{errors} };
        push @errors, map { "$segment->{uri}: $_" }
                      Test::Live::TS::join_errors($before->{ts}, $ts)
            if $before && $before->{msn} + 1 == $segment->{msn}
               && !$segment->{discontinuity};
        $before = { ts => $ts, msn => $segment->{msn} };
    }

    $of->{ts} = \@errors;
}
