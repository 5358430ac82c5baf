#!/usr/bin/env perl

# Players outside of browsers: ffprobe, ffplay, mpv, VLC and GStreamer on each
# kind of playlist.  Those that know nothing of low latency play its playlists
# as any others (HLS-49).
#
# alone

use strict;
use warnings;

use IO::Socket::INET;
use JSON::PP ();
use Time::HiRes qw/ time /;
use Test::More;
use Test::Live;

use constant {
    FPS     => 30,
    SECONDS => 6,       # that each plays
};

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;

events { }

live {
    zone 128m;
    segment 2s max=3s;
    window 30s;
    rendition source copy;

    application plain {
    }

    application low {
        part 500ms;
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

    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location /plain/ {
            live_play plain;
        }

        location /low/ {
            live_play low;
        }
    }
}
CONF

$t->run();

my $base = 'http://127.0.0.1:' . $t->port(8080);
my $clip = { seconds => 20, gop => 2 * FPS, bframes => 2, fps => FPS };

for my $name (qw/ plain low /) {
    my $publisher = $t->ffmpeg_publish("$name/show", clip => $clip,
                                       loop => -1);
    $t->{publishers}{$name} = $publisher;
}

for my $name (qw/ plain low /) {

    # players begin three target durations, 9 s, before the end
    ok($t->wait_for(sub { segments($name) >= 6 }, 40, 'sixth segment'),
       "$name: a stream is there")
        or diag($t->output($t->{publishers}{$name}));
}

my %players = (
    ffprobe   => { start => \&start_ffprobe, check => \&check_ffprobe },
    ffplay    => { start => \&start_ffplay, check => \&check_ffplay },
    mpv       => { start => \&start_mpv, check => \&check_mpv },
    GStreamer => { start => \&start_gstreamer, check => \&check_gstreamer },
    VLC       => { start => \&start_vlc, check => \&check_vlc },
);

play('HLS', 'plain/show/playlist.m3u8');
play('LL-HLS', 'low/show/playlist.m3u8');
play('HLS, MPEG-TS', 'plain/show/ts/playlist.m3u8');
play('HLS, MPEG-TS beside LL', 'low/show/ts/playlist.m3u8');
play('DASH', 'plain/show/manifest.mpd');
play('LL-DASH', 'low/show/manifest.mpd');

done_testing();


sub segments {
    my ($name) = @_;

    my $text = $t->get("/$name/show/source/playlist.m3u8")->{body};

    return scalar(() = $text =~ /^#EXTINF:/mg);
}


# All players at once.
sub play {
    my ($kind, $path) = @_;

    my %pids;

    for my $name (sort keys %players) {
        $pids{$name} = $players{$name}{start}->("$base/$path");
    }

    for my $name (sort keys %players) {
        $players{$name}{check}->("$name, $kind", $pids{$name});
    }
}


# A file of the test's folder that is not there yet.
sub fresh {
    my ($name) = @_;

    return $name . ++$t->{fresh}{$name};
}


# --- ffprobe ------------------------------------------------------------------

sub start_ffprobe {
    my ($url) = @_;

    my $name = fresh('ffprobe');

    return [ $name, $t->spawn(
        { output => "$name.err", stdout => "$name.out" },
        qw/ ffprobe -v warning -count_frames -of csv=p=0 -read_intervals /,
        '%+' . SECONDS, '-show_entries',
        'stream=codec_type,nb_read_frames', $url) ];
}


sub check_ffprobe {
    my ($what, $run) = @_;

    my ($name, $pid) = @$run;

    is($t->wait_exit($pid, 60), 0, "$what: reads");

    # its demuxer reads the init segment again after each playlist
    my @lines = grep { !/duplicated MOOV/ }
                split /\n/, $t->read_file("$name.err") // '';

    is_deeply(\@lines, [], "$what: no complaint");

    my $text = $t->read_file("$name.out") // '';
    my ($video) = $text =~ /video,(\d+)/;
    my ($audio) = $text =~ /audio,(\d+)/;

    # the interval begins with the first packet, of whichever stream it is
    cmp_ok($video // 0, '>=', SECONDS * FPS - 5, "$what: decodes every frame")
        or diag($text);
    cmp_ok($audio // 0, '>=', int(SECONDS * 48000 / 1024) - 5,
           "$what: decodes audio") or diag($text);
}


# --- ffplay -------------------------------------------------------------------

sub start_ffplay {
    my ($url) = @_;

    my $name = fresh('ffplay');

    return [ $name, $t->spawn(
        { output => "$name.out",
          env    => { SDL_VIDEODRIVER => 'dummy',
                      SDL_AUDIODRIVER => 'dummy' } },
        qw/ ffplay -hide_banner -nostats -loglevel level+info
            -vf showinfo -af ashowinfo /, $url) ];
}


# It goes on as long as the stream does.
sub check_ffplay {
    my ($what, $run) = @_;

    my ($name, $pid) = @$run;
    my ($video, $audio, $text);

    $t->wait_for(sub {
        $text = $t->read_file("$name.out");
        ($video, $audio) = (0, 0);
        $video++ while $text =~ /Parsed_showinfo\S* @ \S+ \[info\] n:/g;
        $audio++ while $text =~ /Parsed_ashowinfo\S* @ \S+ \[info\] n:/g;

        return $video >= SECONDS * FPS || !$t->is_running($pid);
    }, 60, "end of $what");

    $t->end($pid);

    cmp_ok($video, '>=', SECONDS * FPS, "$what: decodes every frame");
    cmp_ok($audio, '>', 0, "$what: decodes audio");

    my @complaints = grep { /\[(?:error|fatal|panic)\]/ } split /\n/, $text;

    is_deeply(\@complaints, [], "$what: no complaint");
}


# --- mpv ----------------------------------------------------------------------

sub start_mpv {
    my ($url) = @_;

    my $name = fresh('mpv');

    return [ $name, $t->spawn(
        { output => "$name.out" },
        qw/ mpv --no-config --vo=null --ao=null /, '--length=' . SECONDS,
        '--msg-level=all=warn,mpv=info',
        '--script=' . $t->root() . '/t/browser/mpv.lua', $url) ];
}


sub check_mpv {
    my ($what, $run) = @_;

    my ($name, $pid) = @$run;

    is($t->wait_exit($pid, 60), 0, "$what: plays");

    my ($json) = $t->output($pid) =~ /REPORT (\{.*\})/;
    my $report = $json ? JSON::PP::decode_json($json) : {};

    is($report->{reason}, 'eof', "$what: comes to its end")
        or diag($t->output($pid));
    cmp_ok($report->{pos} // 0, '>=', SECONDS - 1, "$what: plays on")
        or diag($t->output($pid));
    is($report->{drop}, 0, "$what: decodes every frame");
    is($report->{stalls} // 0, 0, "$what: never waits for data");

    # the segment that it was about to open at its own end
    (my $output = $t->output($pid)) =~ s/.*Error when loading first fragment.*//;

    unlike($output, qr/error|invalid|corrupt/i, "$what: no complaint");
}


# --- GStreamer ----------------------------------------------------------------

sub start_gstreamer {
    my ($url) = @_;

    my $name = fresh('gstreamer');

    return [ $name, $t->spawn(
        { output => "$name.out" },
        qw/ gst-launch-1.0 -v playbin3 /, "uri=$url",
        'video-sink=fpsdisplaysink text-overlay=false video-sink=fakesink',
        'audio-sink=fakesink sync=true') ];
}


sub check_gstreamer {
    my ($what, $run) = @_;

    my ($name, $pid) = @$run;
    my ($shown, $dropped, $text) = (0, 0);

    $t->wait_for(sub {
        $text = $t->read_file("$name.out");
        ($shown, $dropped) = ($1, $2)
            while $text =~ /rendered: (\d+), dropped: (\d+)/g;

        return $shown + $dropped >= SECONDS * FPS || !$t->is_running($pid);
    }, 60, "end of $what");

    $t->end($pid, 'INT');

    cmp_ok($shown + $dropped, '>=', SECONDS * FPS,
           "$what: decodes every frame");
    cmp_ok($dropped, '<=', SECONDS * FPS / 4, "$what: shows them in time");
    like($text, qr{audio/x-raw}, "$what: decodes audio");
    unlike($text, qr/^(?:ERROR|WARNING)/m, "$what: no complaint")
        or diag(join "\n", grep { /^(?:ERROR|WARNING|Additional)/ }
                           split /\n/, $text);
}


# --- VLC ----------------------------------------------------------------------

# It refuses to run as root.
sub start_vlc {
    my ($url) = @_;

    my $name = fresh('vlc');
    my $port = $t->port($name);
    my $home = $t->dir() . "/$name";
    my @user = $> == 0 ? ('runuser', '-u', 'nobody', '--') : ();

    mkdir $home;
    chmod 0755, $t->dir();
    chmod 0777, $home;

    return [ $name, $t->spawn(
        { output => "$name.out" }, @user, 'env', "HOME=$home",
        qw/ vlc -I oldrc --rc-fake-tty --vout dummy --aout dummy
            --no-video-title-show --no-dbus -q --rc-host /,
        "127.0.0.1:$port", $url) ];
}


sub check_vlc {
    my ($what, $run) = @_;

    my ($name, $pid) = @$run;
    my ($stats, %value) = '';
    my $shown = 0;

    # it counts what it decodes more than once
    $t->wait_for(sub {
        $stats = vlc_stats($t->port($name));
        %value = $stats =~ /^\| +(.+?) *: +(\d+)/mg;
        $shown = ($value{'frames displayed'} // 0)
                 + ($value{'frames lost'} // 0);

        return $shown >= SECONDS * FPS;
    }, 60, "end of $what");

    cmp_ok($shown, '>=', SECONDS * FPS, "$what: decodes every frame")
        or diag($stats, $t->output($pid));
    cmp_ok($value{'audio decoded'} // 0, '>', 0, "$what: decodes audio");

    # late ones; a machine that is busy has some while VLC starts
    cmp_ok($value{'frames lost'} // 1e9, '<=', SECONDS * FPS / 4,
           "$what: shows them in time") or diag($stats);
    is($value{'demux corrupted'}, 0, "$what: nothing corrupted");
    is($value{'discontinuities'}, 0, "$what: one timeline");

    $t->end($pid);
}


sub vlc_stats {
    my ($port) = @_;

    my $text = '';
    my $end = time() + 5;

    my $socket = IO::Socket::INET->new(
        PeerAddr => "127.0.0.1:$port", Timeout => 2)
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
