#!/usr/bin/env perl

# Players in Chromium: hls.js as it comes and the example page, through a
# republish.
#
# alone

use strict;
use warnings;

use Test::More;
use Test::Live;
use Test::Live::Browser;

use constant {
    FPS     => 30,
    SECONDS => 30,      # that hls.js plays before the republish
};

my $t = Test::Live->new();

my $conf = Test::Live::Browser::conf(<<'LIVE', 'live');
    zone 128m;

    application live {
        segment 2s max=3s;
        part 0;
        window 30s;
        resume 60s;
        rendition source copy;
    }
LIVE

$t->write_file_expand('nginx.conf', $conf);
$t->run();

my $root = $t->root();
my $base = 'http://127.0.0.1:' . $t->port(8080);
my $stream = "$base/live/show/playlist.m3u8";
my $clip = { seconds => 20, gop => 2 * FPS, bframes => 2, fps => FPS };

my $publisher = publish();

# hls.js begins three target durations, 9 s, before the end
ok($t->wait_for(sub { segments() >= 6 }, 30, 'sixth segment'),
   'a stream is there');

my $browser = Test::Live::Browser->new($t,
    "$base/browser/player.html?url=/live/show/playlist.m3u8", "$base/#show",
    "$base/dash.html#show");

ok($t->wait_for(sub {
       return $browser->reports() && hls()->{started}
              && page()->{state} eq 'playing' && dash()->{totalFrames};
   }, 60, 'playing browser'), 'hls.js and the example pages play');

my ($hls_start, $page_start, $dash_start) = (hls(), page(), dash());

ok($t->wait_for(sub {
       $browser->reports();
       return hls()->{currentTime} - $hls_start->{currentTime} >= SECONDS;
   }, SECONDS + 60, 'half a minute of hls.js'),
   'hls.js plays for ' . SECONDS . ' s');

check_hls('undisturbed', $hls_start, hls());
check_page('undisturbed', $page_start, page());
check_dash($dash_start, dash());

republish();

# ENDLIST is for good only: the same player goes on (HLS-17)
is_deeply($browser->crashes(), [], 'no page has an uncaught error');
is_deeply($browser->refused(), [], 'no request is refused');

$browser->end();

done_testing();


sub publish {
    return $t->ffmpeg_publish('live/show', clip => $clip, loop => -1);
}


sub segments {
    my $text = $t->get('/live/show/source/playlist.m3u8')->{body};

    return scalar(() = $text =~ /^#EXTINF:/mg);
}


# The latest reports.
sub hls { return $browser->report(0) }

sub page { return $browser->report(1) }

sub dash { return $browser->report(2) }


sub check_hls {
    my ($when, $from, $to) = @_;

    my $seconds = $to->{currentTime} - $from->{currentTime};
    my $frames = $to->{totalVideoFrames} - $from->{totalVideoFrames};

    is_deeply($to->{errors}, [], "hls.js, $when: no error of any kind");
    is($to->{stalls}, 0, "hls.js, $when: it never waits for data");
    is($to->{seeks}, 0, "hls.js, $when: it jumps over nothing");
    cmp_ok(abs($frames - $seconds * FPS), '<=', 0.1 * $seconds * FPS,
           "hls.js, $when: frames come as published")
        or diag("$frames frames in $seconds s");
    cmp_ok($to->{audioBytes}, '>', $from->{audioBytes},
           "hls.js, $when: sound is decoded");
    is("$to->{width}x$to->{height}", '320x180',
       "hls.js, $when: the picture has its size");
    is($to->{buffered}, 1, "hls.js, $when: the buffer has no hole (HLS-46)");
}


sub check_page {
    my ($when, $from, $to) = @_;

    my $seconds = $to->{currentTime} - $from->{currentTime};
    my $frames = $to->{totalFrames} - $from->{totalFrames};

    is($to->{state}, 'playing', "the example page, $when: it plays");
    is_deeply($to->{errors}, [], "the example page, $when: no error");
    is($to->{stalls}, 0, "the example page, $when: no stall");
    is($to->{restarts}, 0, "the example page, $when: no new start");
    cmp_ok($seconds, '>=', SECONDS / 2, "the example page, $when: time goes "
                                        . 'on');
    cmp_ok(abs($frames - $seconds * FPS), '<=', 0.1 * $seconds * FPS,
           "the example page, $when: frames come as published")
        or diag("$frames frames in $seconds s");
}


sub check_dash {
    my ($from, $to) = @_;

    is_deeply($to->{errors}, [], 'the DASH page: no error');
    is($to->{stalls}, $from->{stalls}, 'the DASH page: no stall');
    cmp_ok($to->{currentTime} - $from->{currentTime}, '>=', SECONDS / 2,
           'the DASH page: time goes on');
    cmp_ok($to->{totalFrames} - $from->{totalFrames}, '>=',
           SECONDS / 2 * FPS, 'the DASH page: frames are shown');
}


# The publisher stops and another comes within "resume" (invariant 10).
sub republish {
    my ($before, $page_before);

    $t->end($publisher);
    $browser->reports();
    ($before, $page_before) = (hls(), page());

    ok($t->wait_for(sub {
           $t->get('/streams')->{body} =~ /"state":"away"/;
       }, 15, 'stream without publisher'), 'the publisher is gone');

    unlike($t->get('/live/show/source/playlist.m3u8')->{body},
           qr/^#EXT-X-ENDLIST/m, 'the timeline is kept open for it');

    # it stays away for three seconds of the player's time
    $t->wait_for(sub {
        $browser->reports();
        return hls()->{currentTime} - $before->{currentTime} >= 3;
    }, 20, 'three more seconds of hls.js');

    $publisher = publish();

    ok($t->wait_for(sub {
           $browser->reports();
           my %loaded = map { $_ => 1 } @{ hls()->{discontinuities} };
           return keys %loaded >= 2;
       }, 30, 'fragment behind the discontinuity'),
       'hls.js loads what comes behind the discontinuity (HLS-20)');

    ok($t->wait_for(sub {
           $browser->reports();
           return hls()->{currentTime} - $before->{currentTime} >= 20
                  && page()->{currentTime} - $page_before->{currentTime}
                     >= 20;
       }, 90, 'hls.js over the republish'),
       'hls.js plays on over the republish (invariant 10)');

    is(hls()->{attached}, 1, 'in the same player, attached once');
    check_hls('over the republish', $before, hls());
    check_page('over the republish', $page_before, page());
}
