#!/usr/bin/env perl

# A ladder in real players: hls.js and dash.js in Chromium, each with its low
# latency, on rungs that always run and on rungs that run on demand.  The
# connection becomes slow in two steps, by limit_rate, and fast again, and the
# players go down to the lowest rung and up to the source again.
#
# They stay some seconds behind the live edge: one that has no more than a
# second in its buffer stalls when the request that is under way becomes slow.
#
# The pictures show the time at which they were drawn (t/browser/clock.c), so
# that a rung which is not in step with its source is seen as well.
#
# Environment: LIVE_PLAYERS is a pattern of the names of some players, and
# LIVE_FIGURES names a file for what was measured instead of ladder.json in the
# test's folder.
#
# alone

use strict;
use warnings;

use JSON::PP ();
use List::Util qw/ max /;
use Test::More;
use Test::Live;
use Test::Live::Browser;

use constant {
    FPS      => 30,
    SOURCE   => 360,    # heights
    LOWEST   => 144,
    SETTLED  => 6,      # s to play on before the next change
    DELAY    => 6,      # s behind the live edge
    JOIN     => 12,     # segments that are listed when players come
    STEP     => 100,    # ms, of the stream's time at a switch
    ATTEMPTS => 2,

    # see Test::Live::Browser::errors(); this is where it happens in a timer
    CRASH    => qr/Cannot read properties of null \(reading 'start'\)$/,

    # bytes a second of each answer: the source has about 190 thousand, rungs
    # have 70 and 20
    FAST     => '800k',
    SLOW     => '150k',
    SLOWER   => '50k',
};

my @SMOOTH = (fps => FPS, stall => 100);

my @players = (
    { name => 'hls.js, always', player => 'hls',
      url => 'always/hls/playlist.m3u8' },
    { name => 'dash.js, always', player => 'dash',
      url => 'always/dash/manifest.mpd' },
    { name => 'hls.js, on demand', player => 'hls',  round => 1,
      url => 'demand/hls/playlist.m3u8' },
    { name => 'dash.js, on demand', player => 'dash', round => 1,
      url => 'demand/dash/manifest.mpd' },
);

my $json = JSON::PP->new->canonical;
my %figures;
my $pattern = $ENV{LIVE_PLAYERS} // '';

@players = grep { $_->{name} =~ /$pattern/ } @players;

my $t = Test::Live->new();
my $slow = $t->dir() . '/slow';
my $slower = $t->dir() . '/slower';

$t->write_file_expand('nginx.conf', <<"CONF");
%%TEST_GLOBALS%%
worker_processes 2;

thread_pool live threads=2;

events { }

live {
    zone 256m;
    thread_pool live;
    segment 2s max=3s;
    window 30s;

    rendition source copy;
    rendition mid size=426x240 video=500k preset=ultrafast;
    rendition low size=256x144 video=150k preset=ultrafast;

    application always {
        transcode always;
    }

    application demand {
        transcode on_demand;
    }
}

stream {
    server {
        listen 127.0.0.1:%%PORT_1935%%;
        live_rtmp;
    }
}

http {
    %%TEST_GLOBALS_HTTP%%

    types {
        text/html html;
        text/css css;
        text/javascript js;
    }

    server {
        listen 127.0.0.1:%%PORT_8080%%;

        # in small pieces, as a slow line has them, not once a second
        sendfile_max_chunk 4k;

        set \$rate @{[ FAST ]};

        if (-f $slow) {
            set \$rate @{[ SLOW ]};
        }

        if (-f $slower) {
            set \$rate @{[ SLOWER ]};
        }

        location /always/ {
            limit_rate \$rate;
            live_play always;
        }

        location /demand/ {
            limit_rate \$rate;
            live_play demand;
        }

        location /browser/ {
            root %%ROOT%%/t;
        }
    }
}
CONF

$t->run();

my $base = 'http://127.0.0.1:' . $t->port(8080);

for my $round (0, 1) {
    my @round = grep { ($_->{round} // 0) == $round } @players or next;
    my $publisher = publish(map { $_->{url} =~ m{^(.*)/} } @round);

    play(ATTEMPTS, @round);
    $t->end($publisher);
}

$t->write_file($ENV{LIVE_FIGURES} || 'ladder.json',
               $json->pretty->encode(\%figures));

done_testing();


# One encoder for all of a round: as an encoder at 1.5 Mbit/s that fills.
sub publish {
    my (@streams) = @_;

    my $clock = $t->dir() . '/clock';
    my $rtmp = 'rtmp://127.0.0.1:' . $t->port(1935);

    my ($code, $output) = $t->command(qw/ cc -std=gnu11 -O2 -o /, $clock,
                                      $t->root() . '/t/browser/clock.c');

    is($code, 0, 'the clock compiles') or BAIL_OUT($output);

    my @encode = (
        qw/ ffmpeg -nostdin -loglevel warning -probesize 32
            -f rawvideo -pix_fmt yuv420p -video_size 640x360 -framerate /, FPS,
        qw/ -i pipe:0 -f lavfi -i sine=frequency=440:sample_rate=48000
            -map 0:v -map 1:a -c:v libx264 -preset ultrafast
            -tune zerolatency -b:v 1500k -maxrate 1500k -bufsize 750k
            -x264-params nal-hrd=cbr -sc_threshold 0 -g /, 2 * FPS,
        qw/ -c:a aac -b:a 64k -flush_packets 1 -flags +global_header
            -f tee /,
        join '|', map { "[f=flv:flvflags=no_duration_filesize]$rtmp/$_" }
                  @streams,
    );

    my $publisher = $t->spawn({ output => 'publish.out' }, 'sh', '-c',
                              '"$0" 640 360 ' . FPS . ' | "$@"', $clock,
                              @encode);

    for my $stream (@streams) {
        # enough of them that delta updates leave some out (HLS-56)
        ok($t->wait_for(sub { segments("$stream/source") >= JOIN }, 60,
                        'segments'),
           "$stream: a stream is there") or diag($t->output($publisher));
    }

    return $publisher;
}


sub segments {
    my ($stream) = @_;

    my $text = $t->get("/$stream/playlist.m3u8", timeout => 20)->{body};

    return scalar(() = $text =~ /^#EXTINF:/mg);
}


# Once more where the host has taken the CPUs away meanwhile.
sub play {
    my ($attempts, @round) = @_;

    my @streams = map { $_->{url} =~ m{^(.*)/} } @round;

    ok($t->wait_for(sub { running(@streams) }, 60, 'segments of all rungs'),
       "all rungs run: @streams");

    my $browser = Test::Live::Browser->new($t, map {
        "$base/browser/latency.html?player=$_->{player}&url=/$_->{url}"
            . '&quick&room=20&delay=' . DELAY
    } @round);

    my @high = until_all($browser, \@round, 'the source is shown', sub {
        return $_[0]{height} == SOURCE && $_[0]{seconds} > 0;
    }, @streams);

    $t->write_file('slow', '');

    my @mid = until_all($browser, \@round, 'a rung is, on a slow line', sub {
        return $_[0]{height} < SOURCE;
    }, @streams);

    $t->write_file('slower', '');

    my @low = until_all($browser, \@round, 'the lowest, on a slower one', sub {
        return $_[0]{height} == LOWEST;
    }, @streams);

    unlink $slow, $slower;

    my @again = until_all($browser, \@round, 'the source, on a fast one', sub {
        return $_[0]{height} == SOURCE;
    }, @streams);

    my @rough = grep { $_->{seeks} || longest_step($_) > STEP
                       || !Test::Live::Browser::is_smooth($_, @SMOOTH) }
                @again;

    if (@rough && $browser->disturbed() && $attempts > 1) {
        diag('once more');
        $browser->end();
        return play($attempts - 1, @round);
    }

    check($browser, $round[$_], $high[$_], $low[$_], $again[$_])
        for 0 .. $#round;

    is_deeply([ grep { !/${\ CRASH }/ } @{ $browser->crashes() } ], [],
              'no page has an uncaught error');
    is_deeply($browser->refused(), [], 'no request is refused');

    $browser->end();
}


# Plays until it is true of all players, and then on for a while: the reports.
sub until_all {
    my ($browser, $round, $what, $true, @streams) = @_;

    my @since;

    $t->wait_for(sub {
        running(@streams);

        return 0 unless $browser->reports();

        for my $i (0 .. $#$round) {
            my $r = $browser->report($i);

            $since[$i] //= $r->{now} if $true->($r);
        }

        return !grep {
            !defined $since[$_]
            || $browser->report($_)->{now} - $since[$_] < SETTLED
        } 0 .. $#$round;
    }, 120, $what);

    my @reports = map { $browser->report($_) } 0 .. $#$round;

    for my $i (0 .. $#$round) {
        ok(defined $since[$i], "$round->[$i]{name}: $what")
            or diag($json->encode($reports[$i] // {}));
    }

    return @reports;
}


# True when all rungs have what players may want of them.  It is another viewer
# of them as well: where the first one comes a rung may begin too late for what
# a player on a slow line needs, and DASH gets another Period.
sub running {
    my (@streams) = @_;

    return !grep { segments($_) < 4 }
           map { ("$_/mid", "$_/low") } @streams;
}


sub check {
    my ($browser, $player, $high, $low, $again) = @_;

    my $name = $player->{name};

    is_deeply([ Test::Live::Browser::errors($again) ], [],
              "$name: no error of any kind");
    $browser->check_smooth($name, $again, @SMOOTH);
    is($again->{ranges}, 1, "$name: the buffer never has a hole (HLS-46)");

    check_switches("$name, pictures", $again->{sizes}, $high, $low);
    check_switches("$name, events", $again->{levels}, $high, $low);
    check_steps($name, $again) unless $browser->{disturbed};
    check_offsets($name, $again);
    check_sound("$name, slow", $high, $low);
    check_sound("$name, fast again", $low, $again);

    $figures{$name} = $again;
    diag("$name: " . join ', ', map {
        sprintf '%.1f s %d (%d/%d ms)', @$_{qw/ at height step gap /}
    } @{ $again->{sizes} });
}


# Down once it is slow, and up once it is fast; from where there was no change
# any more.
sub check_switches {
    my ($what, $all, $high, $low) = @_;

    my @slow = grep { $_->{at} > $high->{now} && $_->{at} <= $low->{now} }
               @$all;

    ok(scalar(grep { $_->{height} == LOWEST } @slow), "$what: down")
        or diag($json->encode($all));
    is($all->[-1]{height}, SOURCE, "$what: and up again");
    cmp_ok($all->[-1]{at}, '>', $low->{now}, "$what: in this order");
}


# The stream's time does not jump, neither at a switch nor elsewhere.
sub check_steps {
    my ($name, $r) = @_;

    is($r->{seeks}, 0, "$name: it jumps over nothing");
    cmp_ok(longest_step($r), '<=', STEP,
           "$name: switches are between frames that follow on each other")
        or diag($json->encode($r->{sizes}));
}


# One frame is 33 ms, and a busy machine leaves some out; a browser that starts
# shows none for up to half a second, in which the stream's time has to go on as
# the clock's does.
sub longest_step {
    my ($r) = @_;

    my (undef, @switches) = @{ $r->{sizes} };

    return max(0, map { abs($_->{step} - ($_->{settled} ? 0 : $_->{gap})) }
                  @switches);
}


# Nor does what is in the pictures.
sub check_offsets {
    my ($name, $r) = @_;

    my $offsets = $r->{offsets};

    for my $height (grep { $_ != SOURCE } sort keys %$offsets) {
        cmp_ok(abs($offsets->{$height}{p50} - $offsets->{+SOURCE}{p50}), '<=',
               1000 / FPS, "$name: $height lines are in step with the source");
    }
}


# 64 kbit/s are 8000 bytes a second.
sub check_sound {
    my ($what, $from, $to) = @_;

    cmp_ok($to->{audioBytes} - $from->{audioBytes}, '>=',
           4000 * ($to->{now} - $from->{now}), "$what: sound goes on");
}
