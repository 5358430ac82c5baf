#!/usr/bin/env perl

# Rungs of HEVC, AV1 and VP9: what playlists say of them, and that each segment
# decodes on its own, to the last frame.

# asan

use strict;
use warnings;

use JSON::PP;
use Test::Live;
use Test::Live::M3U8;
use Test::Live::MP4;
use Test::More;

# A rung begins with the second segment, when the source is known.
my ($size, $fps, $seconds) = ('320x180', 15, 8);

# Colours: what is taken for granted of small pictures that say nothing.
my $sd = '06.06.06';

# The encoders, what they are told, and what comes of it.
my %rungs = (
    hevc => {
        encoder => 'libx265', settings => 'video=150k preset=ultrafast',
        codecs => 'hvc1.1.6.L60.90', tag => 'hvc1', codec => 'hevc',
    },
    svt => {
        encoder => 'libsvtav1', settings => 'crf=45 maxrate=200k preset=12',
        codecs => "av01.0.00M.08.0.110.$sd.0", tag => 'av01', codec => 'av1',
    },
    aom => {
        encoder => 'libaom-av1', settings => 'video=150k',
        codecs => "av01.0.00M.08.0.110.$sd.0", tag => 'av01', codec => 'av1',
    },
    vp9 => {
        encoder => 'libvpx-vp9', settings => 'video=150k',
        codecs => "vp09.00.10.08.00.$sd.00", tag => 'vp09', codec => 'vp9',
    },
);

my $t = Test::Live->new();

my $renditions = join '', map {
    "rendition $_ size=160x90 codec=$rungs{$_}{encoder} $rungs{$_}{settings};\n"
} sort keys %rungs;

$t->write_file_expand('nginx.conf', <<"CONF");
%%TEST_GLOBALS%%
worker_processes 1;
thread_pool live threads=2;
events { }

live {
    zone 128m;
    thread_pool live;

    application live {
        segment 2s max=4s;
        window 60s;
        resume 1s;
        transcode always;

        rendition source copy;
        $renditions
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

my $clip = $t->clip(seconds => $seconds, size => $size, fps => $fps,
                    gop => $fps * 2, bframes => 2);

$t->run();

my $ffmpeg = $t->ffmpeg_publish('live/x', clip => $clip);

is($t->wait_exit($ffmpeg, 120), 0, 'published') or diag($t->output($ffmpeg));

test_variants();
test_rung($_) for sort keys %rungs;

done_testing();


# --- playlists ----------------------------------------------------------------

sub test_variants {
    my $text = $t->get('/live/x/playlist.m3u8')->{body} // '';
    my $list = Test::Live::M3U8->parse($text);

    is("@{ $list->{errors} }", '', 'the multivariant playlist is well formed');

    for my $name (sort keys %rungs) {
        my ($variant) = $text =~ m{^\#EXT-X-STREAM-INF:(.*)\n\Q$name\E/}m;
        my ($codecs) = ($variant // '') =~ /CODECS="([^"]*)"/;

        is($codecs, "$rungs{$name}{codecs},mp4a.40.2", "$name: CODECS");
    }
}


# The media playlist of a rung when it is complete.
sub complete {
    my ($name) = @_;

    my $list;

    $t->wait_for(sub {
        my $answer = $t->get("/live/x/$name/playlist.m3u8");

        return unless $answer->{status} == 200;

        $list = Test::Live::M3U8->parse($answer->{body});

        return $list->{endlist};
    }, 120, "end of $name") or return;

    return $list;
}


# --- media --------------------------------------------------------------------

sub test_rung {
    my ($name) = @_;

    my $rung = $rungs{$name};
    my $list = complete($name);

    ok($list, "$name: a playlist with an end") or return;
    is("@{ $list->{errors} }", '', "$name: it is well formed");

    my @segments = @{ $list->{segments} };
    my @gaps = grep { $_->{gap} } @segments;

    is(scalar @gaps, 0, "$name: no gap");
    cmp_ok(scalar @segments, '>=', 2, "$name: segments");

    my $init = fetch($name, $segments[0]{map});
    my $all = $init;
    my @counts;

    like($init, qr/$rung->{tag}/, "$name: an init segment of $rung->{tag}");

    for my $segment (@segments) {
        my $media = fetch($name, $segment->{uri});

        $all .= $media;
        push @counts, decode($name, $init . $media)->{frames} // 'none';
    }

    is("@counts", join(' ', ($fps * 2) x @segments),
       "$name: each segment decodes alone, all frames of it");

    my $whole = decode($name, $all);

    is($whole->{frames}, $fps * 2 * @segments, "$name: the whole decodes");
    is("$whole->{codec} $whole->{tag} $whole->{size}",
       "$rung->{codec} $rung->{tag} 160x90", "$name: codec and size");
    is_deeply($whole->{times}, [ map { int($_ * 90000 / $fps) }
                                     0 .. $fps * 2 * @segments - 1 ],
              "$name: frames at their times");
}


sub fetch {
    my ($name, $uri) = @_;

    $uri = $uri->{uri} if ref $uri;

    my $path = $uri =~ m{^/} ? $uri : "/live/x/$name/$uri";
    my $answer = $t->get($path);

    is($answer->{status}, 200, "$name: " . ($path =~ m{([^/?]+)[^/]*$})[0]);

    return $answer->{body} // '';
}


# What ffprobe makes of a file: { frames, codec, tag, size, times }, where
# frames is how many there are without any complaint.
sub decode {
    my ($name, $media) = @_;

    my $file = $t->dir() . "/$name.mp4";

    $t->write_file("$name.mp4", $media);

    my ($code, $output) = $t->command(
        qw/ ffprobe -v warning -err_detect explode -select_streams v
            -of json -show_entries /,
        'frame=best_effort_timestamp:'
        . 'stream=codec_name,codec_tag_string,width,height', $file);

    my $result = $output =~ /^\s*\{/ ? eval { decode_json($output) } : undef;

    unless ($code == 0 && $result) {
        diag("$name: ffprobe: $output");
        return { codec => '', tag => '', size => '', times => [] };
    }

    my $stream = $result->{streams}[0];
    my @times = map { $_->{best_effort_timestamp} } @{ $result->{frames} };

    return {
        frames => scalar @times,
        codec  => $stream->{codec_name},
        tag    => $stream->{codec_tag_string},
        size   => "$stream->{width}x$stream->{height}",
        times  => [ map { $_ - $times[0] } @times ],
    };
}
