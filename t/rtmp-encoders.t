#!/usr/bin/env perl

# Real encoders: what they send is what is served (RTMP-66, RTMP-128).

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use Test::Live;
use Test::Live::M3U8;
use Test::Live::MP4;
use Test::More;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }

live {
    zone 128m;

    application live {
        segment 4s;
        window 120s;
        resume 1s;
        rendition source copy;
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

my $obs_clip = $t->clip(size => '640x360', format => 'mp4');
my $bframes = $t->clip(seconds => 7, bframes => 2, gop => 30);

$t->run();

my $server = 'rtmp://127.0.0.1:' . $t->port(1935) . '/live';
my $http = 'http://127.0.0.1:' . $t->port(8080) . '/live';

my %obs = (
    default => start_obs('default'),
    k60     => undef,
);

my %gst = map { $_ => start_gstreamer($_) } qw/ rtmp2sink rtmpsink /;
my $ffmpeg = $t->ffmpeg_publish('live/ffmpeg', clip => $bframes);

test_file_of('ffmpeg', $ffmpeg, $bframes);
test_file_of($_, $gst{$_}, $t->dir() . "/$_.flv") for sort keys %gst;
test_obs('default', 250, 2);

$obs{k60} = start_obs('k60', 'keyint=60 min-keyint=60 scenecut=0');
test_obs('k60', 60, 2);

done_testing();


# --- encoders -----------------------------------------------------------------

sub start_obs {
    my ($name, @x264) = @_;

    return $t->spawn('bash', $t->root() . '/t/obs/run.sh',
                     $t->dir() . "/obs-$name", $server, $name, $obs_clip,
                     @x264);
}


# It is paced behind the muxer: live sources, and a muxer that may not wait for
# them, tell wrong times where the machine has no CPU for them.
sub start_gstreamer {
    my ($sink) = @_;

    my $file = $t->dir() . "/$sink.flv";

    return $t->spawn(qw/ gst-launch-1.0 -e -q /, split ' ', <<"PIPELINE");
        videotestsrc num-buffers=180 pattern=ball
        ! video/x-raw,width=320,height=180,framerate=30/1
        ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=60
          bitrate=300
        ! video/x-h264,profile=main ! h264parse ! queue
        ! flvmux name=m streamable=true ! clocksync ! tee name=t
        ! queue ! $sink location=$server/$sink
        t. ! queue ! filesink location=$file
        audiotestsrc num-buffers=281 samplesperbuffer=1024 wave=ticks
        ! audio/x-raw,rate=48000,channels=2
        ! avenc_aac bitrate=64000 ! aacparse ! queue ! m.
PIPELINE
}


# --- tests --------------------------------------------------------------------

# The encoder's own file says what it has sent.
sub test_file_of {
    my ($name, $pid, $file) = @_;

    is($t->wait_exit($pid, 40), 0, "$name publishes to its end")
        or diag($t->output($pid));

    my $played = play($name);

    for my $kind (qw/ video audio /) {
        my @sent = packets($file, $kind);
        my @got = map { md5_hex($_->{data}) }
                  @{ $played->{$kind}{samples} };

        # audio begins with the first picture
        splice @sent, 0, @sent - @got if $kind eq 'audio' && @got < @sent
                                         && @sent - @got <= 5;

        cmp_ok(scalar @got, '>', 100, "$name: $kind frames are served");
        is_deeply(\@got, \@sent, "$name: $kind frames are served byte-exact, "
                                 . "each once (RTMP-66)");
    }

    decodes($name, scalar @{ $played->{video}{samples} });
}


sub test_obs {
    my ($name, $gop, $segments) = @_;

    my $log = "obs-$name/obs.log";
    my $older;
    my @changes;

    $t->wait_for(sub {
        my $playlist = playlist("$name/source") or return 0;

        push @changes, $playlist->changes_since($older) if $older;
        $older = $playlist;

        return @{ $playlist->{segments} } >= $segments;
    }, 90, "segments of OBS") or diag($t->read_file($log));

    is_deeply(\@changes, [], "OBS $name: the playlist keeps its promises "
                             . "while it grows (HLS-8, HLS-12)");

    # one says good-bye, the other one is cut off
    $t->end($obs{$name}, $name eq 'k60' ? 'INT' : 'TERM');
    like($t->read_file($log), qr/Connection to .* successful/,
         "OBS $name: connects");

    my $played = play($name);
    my @samples = @{ $played->{video}{samples} };
    my @keys = grep { $samples[$_]{sync} } 0 .. $#samples;

    is_deeply([ @keys[0 .. 2] ], [ map { $_ * $gop } 0 .. 2 ],
              "OBS $name: a key frame every $gop frames");

    cmp_ok($played->{video}{playlist}{target}, '>=', $gop / 30,
           "OBS $name: TARGETDURATION has room for its GOP (HLS-8)");

    # the last one is longer where sound goes on behind it
    my @wrong = grep { $_->{duration} != 3000 } @samples[0 .. $#samples - 1];

    is(scalar @wrong, 0, "OBS $name: all frames last 1/30 s (CMAF-14)");

    if ($name eq 'k60') {
        my ($total) = $t->read_file($log) =~ /Total frames output: (\d+)/;

        is($total, scalar @samples, "OBS $name: all its frames are served");
    }

    decodes($name, scalar @samples);
}


sub decodes {
    my ($name, $frames) = @_;

    my ($code, $output) = $t->command(qw/ ffmpeg -nostdin -v error -i /,
        "$http/$name/playlist.m3u8", qw/ -map 0:v -f framemd5 /,
        $t->dir() . "/$name.md5", qw/ -map 0:a -f null - /);

    is("$code$output", '0', "$name: ffmpeg plays it without an error line");

    my @lines = grep { !/^#/ } split /\n/, $t->read_file("$name.md5") // '';

    is(scalar @lines, $frames, "$name: ffmpeg decodes all pictures");
}


# --- playing ------------------------------------------------------------------

sub playlist {
    my ($path) = @_;

    my $response = $t->get("/live/$path/playlist.m3u8");

    return $response->{status} == 200
           ? Test::Live::M3U8->parse($response->{body}) : undef;
}


# The ended stream, read and checked: { video, audio }, each with its
# playlist and samples.
sub play {
    my ($name) = @_;

    my %tracks = (video => 'source', audio => 'audio');

    for my $kind (sort keys %tracks) {
        my $path = "$name/$tracks{$kind}";
        my $playlist = $t->wait_for(sub {
            my $p = playlist($path);

            return $p && $p->{endlist} ? $p : 0;
        }, 20, "end of $path (HLS-14)");

        ok($playlist, "$name: the $kind playlist ends") or next;
        is_deeply($playlist->{errors}, [], "$name: $kind playlist is valid");

        # an encoder may end with a key frame whose sound has not come yet
        my @all = @{ $playlist->{segments} };

        pop @all if $kind eq 'audio' && @all > 1 && $all[-1]{gap};

        my @segments = map {
            Test::Live::MP4->segment($t->get("/live/$path/$_->{uri}")->{body})
        } @all;

        my @errors = map { @{ $_->{errors} } } @segments;

        push @errors, $segments[$_ - 1]->join_errors($segments[$_])
            for 1 .. $#segments;
        is_deeply(\@errors, [], "$name: $kind segments are valid and join");

        $tracks{$kind} = { playlist => $playlist,
                           samples  => [ map { @{ $_->{samples} } }
                                         @segments ] };
    }

    return \%tracks;
}


# MD5 of the packets of a file.
sub packets {
    my ($file, $kind) = @_;

    my ($code, $output) = $t->command(qw/ ffprobe -v error -show_packets
        -show_data_hash MD5 -show_entries packet=data_hash -of csv=p=0
        -select_streams /, substr($kind, 0, 1), $file);

    return map { /MD5:(\w+)/ ? $1 : () } split /\n/, $output;
}
