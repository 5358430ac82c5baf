#!/usr/bin/env perl

# Low latency in real players: hls.js, dash.js and shaka-player in Chromium, at
# parts of 500 ms and then of 200 ms, on pictures that show the time at which
# they were drawn (t/browser/clock.c).  How far each is behind is printed, and
# written as latency.json to the test's folder.
#
# video.js plays the same stream by whole segments, as t/browser/adapters.js
# says why.
#
# Environment: LIVE_SECONDS plays longer or shorter, LIVE_PLAYERS is a pattern
# of the names of some players, LIVE_FIGURES names another file.
#
# alone

use strict;
use warnings;

use JSON::PP ();
use Test::More;
use Test::Live;
use Test::Live::Browser;

use constant {
    FPS      => 30,
    ATTEMPTS => 3,
};

# less than two frames is nothing that a viewer sees
my @SMOOTH = (fps => FPS, stall => 66);

my $seconds = $ENV{LIVE_SECONDS} || 60;

# The player's own figure and the measured one may be twice what they are on a
# quiet machine, in ms: a busy one must not fail here.
my @players = (
    { name => 'hls.js, 500 ms', player => 'hls',
      url => 'half/show/playlist.m3u8', limit => 4000 },
    { name => 'dash.js, 500 ms', player => 'dash',
      url => 'half/show/manifest.mpd', limit => 4000 },
    { name => 'shaka, DASH, 500 ms', player => 'shaka',
      url => 'half/show/manifest.mpd', limit => 6000 },
    { name => 'video.js, segments', player => 'videojs',
      url => 'half/show/playlist.m3u8', limit => 18000 },

    { name => 'hls.js, 200 ms', player => 'hls', round => 1,
      query => '&delay=0.7', url => 'fifth/show/playlist.m3u8', limit => 3000 },
    { name => 'dash.js, 200 ms', player => 'dash', round => 1,
      url => 'fifth/show/manifest.mpd', limit => 4000 },
    { name => 'shaka, HLS, 200 ms', player => 'shaka', round => 1,
      url => 'fifth/show/playlist.m3u8', limit => 6000 },
);

@players = grep { $_->{name} =~ /$ENV{LIVE_PLAYERS}/ } @players
    if $ENV{LIVE_PLAYERS};

my $t = Test::Live->new();

my $conf = Test::Live::Browser::conf(<<'LIVE', qw/ half fifth /);
    zone 128m;
    segment 2s max=3s;
    window 30s;
    rendition source copy;

    application half {
        part 500ms;
    }

    application fifth {
        part 200ms;
    }
LIVE

$t->write_file_expand('nginx.conf', $conf);
$t->run();

my $base = 'http://127.0.0.1:' . $t->port(8080);
my $publisher = publish();

for my $name (qw/ half fifth /) {
    ok($t->wait_for(sub { segments($name) >= 4 }, 40, 'fourth segment'),
       "$name: a stream is there") or diag($t->output($publisher));
}

my %figures = (
    cpus => scalar(grep { /^cpu\d/ } split /\n/, $t->read_file('/proc/stat')),
);

# all at once are more than two CPUs carry
play(ATTEMPTS, $seconds, grep { !$_->{round} } @players);
play(ATTEMPTS, $seconds / 2, grep { $_->{round} } @players);

$t->write_file($ENV{LIVE_FIGURES} || 'latency.json',
               JSON::PP->new->pretty->canonical->encode(\%figures));

done_testing();


# One encoder for both applications, so that they show the same pictures.  It
# stands for another machine: browsers that start must not starve it.
sub publish {
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
            -tune zerolatency -b:v 800k -maxrate 800k -bufsize 400k
            -sc_threshold 0 -g /, 2 * FPS,
        qw/ -c:a aac -b:a 64k -flush_packets 1 -flags +global_header
            -f tee /,
        join '|', map { "[f=flv:flvflags=no_duration_filesize]$rtmp/$_/show" }
                  qw/ half fifth /,
    );

    return $t->spawn({ output => 'publish.out' }, qw/ nice -n -10 sh -c /,
                     '"$0" 640 360 ' . FPS . ' | "$@"', $clock, @encode);
}


sub segments {
    my ($name) = @_;

    my $text = $t->get("/$name/show/source/playlist.m3u8")->{body};

    return scalar(() = $text =~ /^#EXTINF:/mg);
}


# Once more where the host has taken the CPUs away meanwhile.
sub play {
    my ($attempts, $time, @round) = @_;

    return unless @round;

    my $browser = Test::Live::Browser->new($t, map {
        "$base/browser/latency.html?player=$_->{player}&url=/$_->{url}"
            . ($_->{query} // '')
    } @round);

    my $all = sub {
        my ($ready) = @_;

        return $browser->reports()
               && !grep { !$ready->($browser->report($_)) } 0 .. $#round;
    };

    my $names = join '; ', map { $_->{name} } @round;

    ok($t->wait_for(sub { $all->(sub { $_[0]{started} }) }, 60,
                    'picture in every player'), "started: $names");

    my @before = cpu_times();

    ok($t->wait_for(sub { $all->(sub { $_[0]{seconds} >= $time }) },
                    $time + 60, 'end of the run'), "played: $time s");

    my @after = cpu_times();

    my @rough = grep { !Test::Live::Browser::is_smooth($_, @SMOOTH) }
                map { $browser->report($_) } 0 .. $#round;

    if (@rough && $browser->disturbed() && $attempts > 1) {
        diag('once more');
        $browser->end();
        return play($attempts - 1, $time, @round);
    }

    check($browser, $round[$_], $browser->report($_)) for 0 .. $#round;

    is_deeply($browser->crashes(), [], 'no page has an uncaught error');
    is_deeply($browser->refused(), [], 'no request is refused');

    my $busy = 1 - ($after[1] - $before[1]) / ($after[0] - $before[0]);

    diag(sprintf '%d CPUs, %d %% busy', $figures{cpus}, 100 * $busy);
    push @{ $figures{busy} }, $busy;

    $browser->end();
}


sub check {
    my ($browser, $player, $r) = @_;

    my $name = $player->{name};
    my $frames = $r->{played} * FPS;

    is_deeply([ Test::Live::Browser::errors($r) ], [],
              "$name: no error of any kind");

    $browser->check_smooth($name, $r, @SMOOTH);
    cmp_ok($r->{audioBytes}, '>', 0, "$name: sound is decoded");
    is("$r->{width}x$r->{height}", '640x360', "$name: the picture's size");

    # every third is read, and a machine that is busy does not show them all
    cmp_ok($r->{read}, '>=', 0.15 * $frames, "$name: pictures are seen")
        or diag("$r->{read} with a clock, $r->{unread} without");
    cmp_ok($r->{unread}, '<=', 0.01 * $frames, "$name: with their clock");
    cmp_ok($r->{own}{p50} // 1e9, '<=', $player->{limit},
           "$name: near the live edge, it says");
    cmp_ok($r->{glass}{p50} // 1e9, '<=', $player->{limit} + 1000,
           "$name: and so it is, from pen to screen");

    # of video and audio, each of up to half a second
    cmp_ok($r->{details}{parts}, '>=', 2 * $r->{seconds},
           "$name: it loads parts") if $player->{player} eq 'hls';

    $figures{players}{$name} = $r;
    diag(line($name, $r));
}


sub line {
    my ($name, $r) = @_;

    return sprintf '%-20s own %5d ms, glass p50 %5d p95 %5d ms, rate %s-%s, '
                   . 'stalls %d (%d ms), seeks %d, frames %d, dropped %d, '
                   . 'gap %d ms',
                   $name, $r->{own}{p50} // -1, $r->{glass}{p50} // -1,
                   $r->{glass}{p95} // -1, $r->{rate}{min} // '-',
                   $r->{rate}{max} // '-',
                   @$r{qw/ stalls stalledMs seeks frames dropped
                           longestGap /};
}


# Of all CPUs since the machine's start: (all time, idle time).
sub cpu_times {
    my ($line) = $t->read_file('/proc/stat') =~ /^cpu +(.*)/;
    my @times = split ' ', $line;
    my $all = 0;

    $all += $_ for @times[0 .. 7];

    return ($all, $times[3] + $times[4]);
}
