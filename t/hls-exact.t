#!/usr/bin/env perl

# What was published is what is served: every byte of every frame, at the time
# that the encoder gave it (HLS-10, CMAF-14, CMAF-18, RTMP-89).

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use List::Util qw/ max min /;
use Test::Live;
use Test::Live::M3U8;
use Test::Live::MP4;
use Test::Live::RTMP;
use Test::More;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }

live {
    zone 128m;

    application live {
        segment 2s;
        window 300s;
        resume 1s;
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

# fps as a fraction: the ticks of a frame are 90000 / fps
my %clips = (
    ntsc   => { fps => '30000/1001', bframes => 2, gop => 48, rate => 44100,
                seconds => 15 },
    ntsc60 => { fps => '60000/1001', bframes => 2, gop => 100, rate => 48000,
                seconds => 10 },
    pal    => { fps => '25/1', gop => 50, rate => 48000, seconds => 8,
                channels => 1 },
    mono60 => { fps => '60/1', gop => 37, rate => 44100, seconds => 8,
                bframes => 1 },
);

$_->{path} = $t->clip(%$_) for values %clips;

$t->run();

publish($_) for sort keys %clips;
test_clip($_) for sort keys %clips;
test_ffmpeg('ntsc');

done_testing();


# --- publishing ---------------------------------------------------------------

sub publish {
    my ($name) = @_;

    my $clip = $clips{$name};
    my $tags = Test::Live::RTMP::flv_tags($clip->{path});
    my $client = Test::Live::RTMP->start(port => $t->port(1935), app => 'live',
                                         name => $name);

    ok($client->send_tags($tags), "$name: published");
    $client->stop($name);

    # frames as they are in the file
    for my $tag (@$tags) {
        my ($kind, $type) = unpack 'C C', $tag->{payload};

        if ($tag->{type} == 9 && $type == 1) {
            my $cts = unpack 'N', "\0" . substr $tag->{payload}, 2, 3;
            $cts -= 0x1000000 if $cts >= 0x800000;

            push @{ $clip->{video} },
                 { data => substr($tag->{payload}, 5), key => $kind >> 4 == 1,
                   dts => $tag->{timestamp}, pts => $tag->{timestamp} + $cts };

        } elsif ($tag->{type} == 8 && $type == 1) {
            push @{ $clip->{audio} }, { data => substr($tag->{payload}, 2),
                                        pts => $tag->{timestamp} };
        }
    }
}


# --- what is served -----------------------------------------------------------

# { init, samples, bytes, segments } of a rendition that has ended.
sub served {
    my ($name, $rendition) = @_;

    my $base = "/live/$name/$rendition";
    my $playlist;

    $t->wait_for(sub {
        my $r = $t->get("$base/playlist.m3u8");

        return unless $r->{status} == 200;
        $playlist = Test::Live::M3U8->parse($r->{body});

        return $playlist->{endlist};
    }, 20, "ENDLIST of $base");

    is_deeply($playlist->{errors}, [], "$base keeps the rules of HLS");

    my %track = (samples => [], playlist => $playlist);
    my %maps = map { $_->{map} => 1 } @{ $playlist->{segments} };

    is(keys %maps, 1, "$base has one init segment");

    my $init = $t->get("$base/" . (keys %maps)[0]);

    $track{init} = Test::Live::MP4->init($init->{body});
    $track{bytes} = $init->{body};

    my (@errors, $before);

    for my $segment (@{ $playlist->{segments} }) {
        my $r = $t->get("$base/$segment->{uri}");
        my $mp4 = Test::Live::MP4->segment($r->{body});

        push @errors, "$segment->{uri}: $r->{status}" if $r->{status} != 200;
        push @errors, map { "$segment->{uri}: $_" } @{ $mp4->{errors} };
        push @errors, Test::Live::MP4::join_errors($before, $mp4) if $before;

        $before = $mp4;
        $track{bytes} .= $r->{body};
        push @{ $track{samples} }, @{ $mp4->{samples} };
    }

    is_deeply(\@errors, [], "$base: strict CMAF, no tick between segments "
                            . '(CMAF-14, CMAF-76)');

    return \%track;
}


sub test_clip {
    my ($name) = @_;

    my $clip = $clips{$name};
    my $video = served($name, 'source');
    my $audio = served($name, 'audio');

    my @frames = @{ $clip->{video} };
    shift @frames until $frames[0]{key};

    test_payload("$name video: every frame from the first key frame",
                 \@frames, $video);
    my $video_offset = test_times("$name video", \@frames, $video);
    test_steps($name, $clip, $video);

    # the first boundary is the first picture, whose time is known to 1 ms
    my @sound = grep { $_->{pts} >= $frames[0]{pts} - 1 } @{ $clip->{audio} };

    shift @sound if $sound[0]{pts} <= $frames[0]{pts} + 1
                    && $sound[0]{data} ne $audio->{samples}[0]{data};

    test_payload("$name audio: every frame from the first boundary",
                 \@sound, $audio);
    my $audio_offset = test_times("$name audio", \@sound, $audio);

    # the last one lasts until the end of the picture
    my @frames_but_last = @{ $audio->{samples} };
    pop @frames_but_last;

    is(scalar(grep { $_->{duration} != 1024 } @frames_but_last), 0,
       "$name audio: each frame lasts 1024 samples, no drift (RTMP-89)");

    cmp_ok(abs($video_offset - $audio_offset), '<=', 1,
           "$name: sound and picture are as far apart as they were (CMAF-18)");
}


sub test_payload {
    my ($what, $source, $track) = @_;

    my @sent = map { md5_hex($_->{data}) } @$source;
    my @got = map { md5_hex($_->{data}) } @{ $track->{samples} };

    is_deeply(\@got, \@sent, "$what, byte for byte (invariant 2)");
}


# The middle of the offset; all of them are within 1 ms of it.
sub test_times {
    my ($what, $source, $track) = @_;

    my $scale = $track->{init}{timescale};
    my @off;

    for my $i (0 .. min($#$source, $#{ $track->{samples} })) {
        my $s = $track->{samples}[$i];
        push @off, ($s->{dts} + $s->{cts}) * 1000 / $scale
                   - $source->[$i]{pts};
    }

    my ($min, $max) = (min(@off), max(@off));

    cmp_ok($max - $min, '<=', 2,
           "$what: presented at the times of the source within 1 ms");

    return ($min + $max) / 2;
}


sub test_steps {
    my ($name, $clip, $track) = @_;

    my ($num, $den) = split m{/}, $clip->{fps};
    my $step = $track->{init}{timescale} * $den / $num;
    my @samples = @{ $track->{samples} };
    my (@dts, @pts);

    for my $i (0 .. $#samples) {
        my $s = $samples[$i];
        my $off = $s->{dts} - $samples[0]{dts} - $i * $step;

        # pictures are on the same grid, in another order
        my $n = ($s->{dts} + $s->{cts} - $samples[0]{dts}) / $step;

        push @dts, "$i: $off" if abs $off >= 1;
        push @pts, "$i: $n" if abs($n - int($n + 0.5)) * $step >= 1;
    }

    is_deeply(\@dts, [], "$name video: exactly $clip->{fps} frames a second");
    is_deeply(\@pts, [], "$name video: presented on the same grid");
    is($samples[0]{cts}, 0, "$name video: the first picture is presented at "
                            . 'its decoding time (CMAF-17)');
}


# --- the same as ffmpeg sees it -----------------------------------------------

sub test_ffmpeg {
    my ($name) = @_;

    for my $stream ('v', 'a') {
        my $source = framemd5($clips{$name}{path}, "$name-$stream-source",
                              $stream);
        my $served = framemd5('http://127.0.0.1:' . $t->port(8080)
                              . "/live/$name/playlist.m3u8",
                              "$name-$stream-hls", $stream);

        # sound before the first picture is not there
        my @expected = @$source[@$source - @$served .. $#$source];

        cmp_ok(@$source - @$served, '<=', $stream eq 'v' ? 0 : 8,
               "$name $stream: ffmpeg finds all frames in the HLS");
        is_deeply($served, \@expected,
                  "$name $stream: framemd5 of the HLS is that of the clip");
    }
}


# The sizes and checksums of the packets.
sub framemd5 {
    my ($input, $file, $stream) = @_;

    my $pid = $t->spawn({ stdout => "$file.md5" },
                        qw/ ffmpeg -nostdin -loglevel error -i /, $input,
                        qw/ -map /, "0:$stream:0",
                        qw/ -c copy -f framemd5 - /);

    is($t->wait_exit($pid, 60), 0, "ffmpeg reads $file");
    is($t->output($pid), '', "ffmpeg reads $file without an error");

    return [ map { (split /,\s*/)[4, 5] ? join ' ', (split /,\s*/)[4, 5] : () }
             grep { !/^#/ } split /\n/, $t->read_file("$file.md5") // '' ];
}
