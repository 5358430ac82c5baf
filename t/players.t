#!/usr/bin/env perl

# Real players: hls.js in Chromium through a republish, the example page, VLC,
# mpv, ffprobe.
#
# alone

use strict;
use warnings;

use IO::Socket::INET;
use List::Util qw/ max /;
use Time::HiRes qw/ time /;
use Test::More;
use Test::Live;

use constant {
    FPS     => 30,
    SECONDS => 30,      # that hls.js plays before the republish
};

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;

events { }

live {
    zone 128m;

    application live {
        segment 2s max=3s;
        window 30s;
        resume 60s;
        rendition source copy;
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

        location /live/ {
            live_play live;
        }

        location = /streams {
            live_api live;
        }

        location /browser/ {
            root %%ROOT%%/t;
        }

        location / {
            root %%ROOT%%/examples/player;
            index index.html;
        }
    }
}
CONF

$t->run();

my $root = $t->root();
my $base = 'http://127.0.0.1:' . $t->port(8080);
my $stream = "$base/live/show/playlist.m3u8";
my $clip = { seconds => 20, gop => 2 * FPS, bframes => 2, fps => FPS };

my $publisher = publish();

# hls.js begins three target durations, 9 s, before the end
ok($t->wait_for(sub { segments() >= 6 }, 30, 'sixth segment'),
   'a stream is there');

my $browser = $t->spawn({ output => 'play.err', stdout => 'play.out',
                          env => { LIVE_SHOTS => $ENV{LIVE_SHOTS} || '' } },
                        'node', "$root/t/browser/play.js",
                        "$base/browser/player.html?url=/live/show/"
                        . 'playlist.m3u8',
                        "$base/#show");

my (@hls, @page, @crashes, $read);

ok($t->wait_for(sub {
       reports();
       return @hls && @page && $hls[-1]{started}
              && $page[-1]{state} eq 'playing';
   }, 60, 'playing browser'), 'hls.js and the example page play');

my ($hls_start, $page_start) = ($hls[-1], $page[-1]);

other_players();

ok($t->wait_for(sub {
       reports();
       return $hls[-1]{currentTime} - $hls_start->{currentTime} >= SECONDS;
   }, SECONDS + 60, 'half a minute of hls.js'),
   'hls.js plays for ' . SECONDS . ' s');

check_hls('undisturbed', $hls_start, $hls[-1]);
check_page('undisturbed', $page_start, $page[-1]);

republish();

# ENDLIST is for good only: the same player goes on (HLS-17)
ok(!@crashes, 'no page has an uncaught error')
    or diag(join "\n", @crashes);

$t->end($browser);

done_testing();


sub publish {
    return $t->ffmpeg_publish('live/show', clip => $clip, loop => -1);
}


sub segments {
    my $text = $t->get('/live/show/source/playlist.m3u8')->{body};

    return scalar(() = $text =~ /^#EXTINF:/mg);
}


# Takes in what play.js has printed since the last call.
sub reports {
    my $text = $t->read_file('play.out') // '';
    my $new = substr $text, $read // 0;

    $new =~ s/[^\n]*\z//;
    $read += length $new;

    for my $line (split /\n/, $new) {
        my $entry = decode($line);

        if (defined $entry->{crash}) {
            push @crashes, $entry->{crash};
            diag($entry->{crash});

        } elsif ($entry->{page} == 0) {
            push @hls, $entry->{report};

        } else {
            push @page, $entry->{report};
        }
    }

    die "the browser is gone:\n" . $t->output($browser)
        unless $t->is_running($browser);
}


sub decode {
    require JSON::PP;

    return JSON::PP::decode_json($_[0]);
}


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


# The publisher stops and another comes within "resume" (invariant 10).
sub republish {
    my ($before, $page_before);

    $t->end($publisher);
    reports();
    ($before, $page_before) = ($hls[-1], $page[-1]);

    ok($t->wait_for(sub {
           $t->get('/streams')->{body} =~ /"state":"away"/;
       }, 15, 'stream without publisher'), 'the publisher is gone');

    unlike($t->get('/live/show/source/playlist.m3u8')->{body},
           qr/^#EXT-X-ENDLIST/m, 'the timeline is kept open for it');

    # it stays away for three seconds of the player's time
    $t->wait_for(sub {
        reports();
        return $hls[-1]{currentTime} - $before->{currentTime} >= 3;
    }, 20, 'three more seconds of hls.js');

    $publisher = publish();

    ok($t->wait_for(sub {
           reports();
           my %loaded = map { $_ => 1 } @{ $hls[-1]{discontinuities} };
           return keys %loaded >= 2;
       }, 30, 'fragment behind the discontinuity'),
       'hls.js loads what comes behind the discontinuity (HLS-20)');

    ok($t->wait_for(sub {
           reports();
           return $hls[-1]{currentTime} - $before->{currentTime} >= 20
                  && $page[-1]{currentTime} - $page_before->{currentTime}
                     >= 20;
       }, 90, 'hls.js over the republish'),
       'hls.js plays on over the republish (invariant 10)');

    is($hls[-1]{attached}, 1, 'in the same player, attached once');
    check_hls('over the republish', $before, $hls[-1]);
    check_page('over the republish', $page_before, $page[-1]);
}


sub other_players {
    my $vlc = start_vlc();
    my $probe = $t->spawn({ output => 'ffprobe.err',
                            stdout => 'ffprobe.out' },
                          qw/ ffprobe -v warning -count_frames
                              -read_intervals %+8 -of csv=p=0
                              -show_entries /,
                          'stream=codec_type,nb_read_frames', $stream);
    my $mpv = $t->spawn({ output => 'mpv.out' },
                        qw/ mpv --no-config --vo=null --ao=null --length=8 /,
                        '--msg-level=all=warn,mpv=info',
                        "--script=$root/t/browser/mpv.lua", $stream);

    check_vlc($vlc);
    check_ffprobe($probe);
    check_mpv($mpv);
}


sub check_ffprobe {
    my ($pid) = @_;

    is($t->wait_exit($pid, 60), 0, 'ffprobe reads the playlist');

    # its demuxer reads the init segment again after each playlist
    my @lines = grep { !/duplicated MOOV/ }
                split /\n/, $t->read_file('ffprobe.err') // '';

    is_deeply(\@lines, [], 'ffprobe has no complaint');

    my $text = $t->read_file('ffprobe.out') // '';
    my ($video) = $text =~ /video,(\d+)/;
    my ($audio) = $text =~ /audio,(\d+)/;

    cmp_ok($video // 0, '>=', 8 * FPS, 'ffprobe decodes every frame of 8 s')
        or diag($text);
    cmp_ok($audio // 0, '>=', int(8 * 48000 / 1024), 'ffprobe decodes audio')
        or diag($text);
}


sub check_mpv {
    my ($pid) = @_;

    is($t->wait_exit($pid, 60), 0, 'mpv plays the stream');

    my ($json) = $t->output($pid) =~ /REPORT (\{.*\})/;
    my $report = $json ? decode($json) : {};

    is($report->{reason}, 'eof', 'mpv comes to its end')
        or diag($t->output($pid));
    cmp_ok($report->{pos} // 0, '>=', 7, 'mpv plays 8 s')
        or diag($t->output($pid));
    is($report->{drop}, 0, 'mpv decodes every frame');
    is($report->{stalls} // 0, 0, 'mpv never waits for data');
    unlike($t->output($pid), qr/error|invalid|corrupt/i,
           'mpv has no complaint');
}


# VLC refuses to run as root.
sub start_vlc {
    my $port = $t->port('vlc');
    my $home = $t->dir() . '/vlc';
    my @user = $> == 0 ? ('runuser', '-u', 'nobody', '--') : ();

    mkdir $home;
    chmod 0755, $t->dir();
    chmod 0777, $home;

    return $t->spawn({ output => 'vlc.out' }, @user, 'env', "HOME=$home",
                     qw/ vlc -I oldrc --rc-fake-tty --vout dummy --aout dummy
                         --no-video-title-show --no-dbus -q --rc-host /,
                     "127.0.0.1:$port", $stream);
}


sub check_vlc {
    my ($pid) = @_;

    my ($stats, %value) = '';

    $t->wait_for(sub {
        $stats = vlc_stats();
        %value = $stats =~ /^\| +(.+?) *: +(\d+)/mg;

        return ($value{'video decoded'} // 0) >= 8 * FPS;
    }, 60, 'VLC that plays');

    cmp_ok($value{'video decoded'} // 0, '>=', 8 * FPS, 'VLC decodes 8 s')
        or diag($stats, $t->output($pid));
    cmp_ok($value{'audio decoded'} // 0, '>', 0, 'VLC decodes audio');
    # late ones; a machine that is busy has some while VLC starts
    cmp_ok($value{'frames lost'} // 1e9, '<=', FPS / 2,
           'VLC shows the frames in time') or diag($stats);
    is($value{'demux corrupted'}, 0, 'VLC finds nothing corrupted');
    is($value{'discontinuities'}, 0, 'VLC sees one timeline');

    $t->end($pid);
}


sub vlc_stats {
    my $text = '';
    my $end = time() + 5;

    my $socket = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1:' . $t->port('vlc'), Timeout => 2)
        or return '';

    local $SIG{PIPE} = 'IGNORE';
    $socket->autoflush(1);
    print $socket "stats\n";

    while ($text !~ /end of statistical info/) {
        my ($bits, $left) = ('', $end - time());

        vec($bits, fileno $socket, 1) = 1;
        last if $left <= 0 || select($bits, undef, undef, $left) <= 0;
        sysread $socket, $text, 65536, length $text or last;
    }

    return $text;
}
