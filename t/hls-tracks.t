#!/usr/bin/env perl

# Streams that are not what one expects: one track alone, tracks that begin
# late, stop or change, and clocks that jump (RTMP-74, RTMP-75, HLS-19,
# HLS-20, HLS-22).

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use List::Util qw/ max min sum0 /;
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
        segment 2s max=4s;
        window 300s;
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

my ($VIDEO, $AUDIO) = (9, 8);

my $clip = tags(seconds => 12);
my $big = tags(seconds => 6, size => '640x360');
my $cd = tags(seconds => 6, rate => 44100);
my $sound = tags(seconds => 9, video => 0);

$t->run();

test_video_only();
test_audio_only();
test_late_audio();
test_late_video();
test_audio_stops();
test_audio_changes();
test_picture_changes();
test_jump('forward', 3600_000);
test_jump('backward', 0);
test_no_clock();

done_testing();


# --- input --------------------------------------------------------------------

sub tags {
    return Test::Live::RTMP::flv_tags($t->clip(@_));
}


# Of a codec record 0, of a frame 1.
sub kind {
    my ($tag) = @_;

    return $tag->{type} == 18 ? -1 : ord substr $tag->{payload}, 1, 1;
}


sub is_header { return kind($_[0]) == 0 }


sub is_key { return (ord($_[0]{payload}) >> 4) == 1 }


# The tags with other timestamps.
sub shifted {
    my ($tags, $offset) = @_;

    return map { +{ %$_, timestamp => $_->{timestamp} + $offset } } @$tags;
}


sub publish {
    my ($name, @tags) = @_;

    my $client = Test::Live::RTMP->start(port => $t->port(1935), app => 'live',
                                         name => $name);

    ok($client->send_tags(\@tags), "$name: published");
    $client->stop($name);
}


# The frames of one type, from the first key frame on: { pts, data }.
sub frames {
    my ($type, @tags) = @_;

    my $head = $type == $VIDEO ? 5 : 2;
    my @frames = grep { $_->{type} == $type && kind($_) == 1 } @tags;

    shift @frames while $type == $VIDEO && !is_key($frames[0]);

    return map { +{ pts => $_->{timestamp},
                    data => substr $_->{payload}, $head } } @frames;
}


# --- what is served -----------------------------------------------------------

sub playlist {
    my ($name, $rendition) = @_;

    my $url = "/live/$name/$rendition/playlist.m3u8";
    my $playlist;

    $t->wait_for(sub {
        my $r = $t->get($url);

        $playlist = $r->{status} == 200
                    && Test::Live::M3U8->parse($r->{body});

        return $playlist && $playlist->{endlist};
    }, 20, "ENDLIST of $url");

    return $playlist;
}


sub multivariant {
    my ($name) = @_;

    my $r = $t->get("/live/$name/playlist.m3u8");
    my $playlist = Test::Live::M3U8->parse($r->{body});

    is_deeply($playlist->{errors}, [], "$name: multivariant playlist");

    return $playlist;
}


# A rendition that has ended: { playlist, samples (of all), groups (by DSN: {
# init, samples, bytes, segments }), gaps }.  Where key frames are too far
# apart a segment may begin without one.  Where the playlist is interrupted the
# last segment may be announced to last a frame of the other track longer than
# its media: its parts were announced already.  stops: and a second.
sub served {
    my ($name, $rendition, %option) = @_;

    my $playlist = playlist($name, $rendition);
    my %track = (playlist => $playlist, samples => [], groups => [],
                 gaps => 0);
    my $most = ($option{stops} ? 1 : 0) + 1 / 25;
    my @segments = @{ $playlist->{segments} };
    my (@errors, $before);

    is_deeply($playlist->{errors}, [], "$name $rendition: playlist");

    while (my $segment = shift @segments) {
        my $r = $t->get("/live/$name/$rendition/$segment->{uri}");

        if ($segment->{gap}) {
            push @errors, "$segment->{uri} is a GAP and answers $r->{status}"
                if $r->{status} != 404;
            $track{gaps}++;
            $before = undef;
            next;
        }

        my $mp4 = Test::Live::MP4->segment($r->{body});
        my $group = group(\%track, $name, $rendition, $segment);

        push @errors, map { "$segment->{uri}: $_" }
                      grep { !$option{forced} || !/^CMAF-13/ }
                      @{ $mp4->{errors} };
        push @errors, Test::Live::MP4::join_errors($before, $mp4)
            if $before && !$segment->{discontinuity};

        my $media = ($mp4->{end} - $mp4->{start}) / $group->{init}{timescale};
        my $over = $segment->{duration} - $media;
        my $next = $segments[0];
        my $interrupted = !$next || $next->{gap} || $next->{discontinuity};

        push @errors, "$segment->{uri}: EXTINF $segment->{duration} of $media"
            unless abs($over) <= 2e-5
                   || $interrupted && $over > 0 && $over < $most;

        $before = $mp4;
        $segment->{mp4} = $mp4;
        $group->{bytes} .= $r->{body};
        push @{ $group->{samples} }, @{ $mp4->{samples} };
        push @{ $track{samples} }, @{ $mp4->{samples} };
    }

    is_deeply(\@errors, [], "$name $rendition: segments (CMAF-14, CMAF-76)");

    return \%track;
}


# The part of a rendition between two discontinuities.
sub group {
    my ($track, $name, $rendition, $segment) = @_;

    my $last = $track->{groups}[-1];

    return $last if $last && $last->{dsn} == $segment->{dsn};

    my $r = $t->get("/live/$name/$rendition/$segment->{map}");

    push @{ $track->{groups} },
         { dsn => $segment->{dsn}, bytes => $r->{body}, samples => [],
           name => "$name $rendition", uri => $segment->{map},
           init => Test::Live::MP4->init($r->{body}) };

    return $track->{groups}[-1];
}


sub test_payload {
    my ($what, $track, @frames) = @_;

    is_deeply([ map { md5_hex($_->{data}) } @{ $track->{samples} } ],
              [ map { md5_hex($_->{data}) } @frames ],
              "$what, byte for byte (invariant 2)");
}


# What sounds before the first picture has no place.
sub from_first_picture {
    my (@tags) = @_;

    my ($picture) = frames($VIDEO, @tags);

    return grep { $_->{pts} >= $picture->{pts} } frames($AUDIO, @tags);
}


# Frames that were sent and not served.
sub lost {
    my ($track, @frames) = @_;

    my %served = map { md5_hex($_->{data}) => 1 } @{ $track->{samples} };

    return scalar grep { !$served{md5_hex($_->{data})} } @frames;
}


# A decoder finds nothing wrong between one discontinuity and the next.
sub test_decodes {
    my ($track) = @_;

    for my $group (@{ $track->{groups} }) {
        my $file = $t->write_file("group.mp4", $group->{bytes});
        my ($code, $output) = $t->command(
            qw/ ffmpeg -nostdin -v error -i /, $file, qw/ -f null - /);

        is("$code $output", '0 ', "$group->{name}: ffmpeg decodes what has DSN"
                                  . " $group->{dsn} without an error line");
    }
}


# Segments of the same number begin at the same time (HLS-46), discontinuities
# are at the same places (HLS-20).
sub test_aligned {
    my ($name, $video, $audio) = @_;

    my %video = map { $_->{msn} => $_ } @{ $video->{playlist}{segments} };
    my (@off, @dsn);

    for my $a (@{ $audio->{playlist}{segments} }) {
        my $v = $video{$a->{msn}} or next;

        # a track that begins late begins in the middle of a segment
        next if $a->{msn} == $audio->{playlist}{sequence}
                || $v->{msn} == $video->{playlist}{sequence};

        push @off, "$a->{msn}: $a->{pdt} $v->{pdt}"
            if abs($a->{pdt} - $v->{pdt}) > 1024 / 44100 + 2e-3;
        push @dsn, "$a->{msn}: $a->{dsn} $v->{dsn}" if $a->{dsn} != $v->{dsn};
    }

    is_deeply(\@off, [], "$name: segments line up within an audio frame "
                         . '(HLS-46)');
    is_deeply(\@dsn, [], "$name: the same discontinuities in both (HLS-20)");
    is($audio->{playlist}{segments}[-1]{msn},
       $video->{playlist}{segments}[-1]{msn}, "$name: the same last segment");
}


# --- one track ----------------------------------------------------------------

sub test_video_only {
    my @tags = grep { $_->{type} != $AUDIO } @$clip;

    publish('video', @tags);
    my $track = served('video', 'source');

    test_payload('video only: every frame', $track, frames($VIDEO, @tags));
    test_decodes($track);

    my $variant = multivariant('video')->{variants}[0]{attributes};

    like($variant->{CODECS}, qr/^avc1\.[0-9a-f]{6}$/,
         'video only: CODECS names no sound (HLS-37)');
    ok(!exists $variant->{AUDIO}, 'video only: no audio group');
    is($t->get('/live/video/audio/playlist.m3u8')->{status}, 404,
       'video only: no audio playlist (HLS-48)');
}


sub test_audio_only {
    publish('audio', @$sound);
    my $track = served('audio', 'audio');

    test_payload('audio only: every frame', $track, frames($AUDIO, @$sound));
    test_decodes($track);

    my $variant = multivariant('audio')->{variants}[0]{attributes};

    is($variant->{CODECS}, 'mp4a.40.2', 'audio only: CODECS (HLS-42)');
    ok(!exists $variant->{RESOLUTION}, 'audio only: no RESOLUTION (HLS-34)');
    is($t->get('/live/audio/source/playlist.m3u8')->{status}, 404,
       'audio only: no video playlist (HLS-48)');

    my @segments = @{ $track->{playlist}{segments} };
    pop @segments;

    is_deeply([ grep { abs($_ - 2) > 0.022 } map { $_->{duration} } @segments ],
              [], 'audio only: segments of 2 s, within a frame');
}


# --- tracks that begin late ---------------------------------------------------

sub test_late_audio {
    my ($header) = grep { $_->{type} == $AUDIO && is_header($_) } @$clip;
    my @tags = grep { $_->{type} != $AUDIO
                      || $_->{timestamp} >= 3000 && !is_header($_) } @$clip;

    my ($first) = grep { $tags[$_]{type} == $AUDIO } 0 .. $#tags;
    splice @tags, $first, 0, { %$header, timestamp => 3000 };

    publish('late-audio', @tags);
    my $video = served('late-audio', 'source');
    my $audio = served('late-audio', 'audio');

    test_payload('late audio: every picture', $video, frames($VIDEO, @tags));
    test_decodes($_) for $video, $audio;
    test_aligned('late audio', $video, $audio);

    # at most what arrives until the next key frame is lost
    cmp_ok(lost($audio, frames($AUDIO, @tags)), '<=', 2000 / 21.3 + 2,
           'late audio: sound from the next segment on (RTMP-75)');
    test_offset('late audio', $video, $audio, @tags);

    like(multivariant('late-audio')->{variants}[0]{attributes}{CODECS},
         qr/^avc1\.\w+,mp4a\.40\.2$/, 'late audio: CODECS name both (HLS-37)');
}


sub test_late_video {
    my ($header) = grep { $_->{type} == $VIDEO && is_header($_) } @$clip;

    # the clip's key frames are 2 s apart: video begins at the one at 4 s
    my @tags = grep { $_->{type} != $VIDEO
                      || $_->{timestamp} >= 3900 && !is_header($_) } @$clip;

    my ($first) = grep { $tags[$_]{type} == $VIDEO } 0 .. $#tags;
    splice @tags, $first, 0, { %$header,
                               timestamp => $tags[$first]{timestamp} };

    publish('late-video', @tags);
    my $video = served('late-video', 'source');
    my $audio = served('late-video', 'audio');

    test_payload('late video: every picture', $video, frames($VIDEO, @tags));
    test_decodes($_) for $video, $audio;
    test_aligned('late video', $video, $audio);
    is($video->{gaps}, 0, 'late video: no GAP before the first picture');

    # sound waits a second for video to announce itself
    cmp_ok(lost($audio, frames($AUDIO, @tags)), '<=', 1000 / 21.3 + 2,
           'late video: sound from the second second on');
    test_offset('late video', $video, $audio, @tags);
}


# The picture and the sound are as far apart as they were (CMAF-18).
sub test_offset {
    my ($name, $video, $audio, @tags) = @_;

    my @off;

    for my $case ([ $video, $VIDEO ], [ $audio, $AUDIO ]) {
        my ($track, $type) = @$case;
        my %pts = map { md5_hex($_->{data}) => $_->{pts} }
                  frames($type, @tags);

        for my $group (@{ $track->{groups} }) {
            my $scale = $group->{init}{timescale};

            push @off, $_->{dts} * 1000 / $scale - $pts{md5_hex($_->{data})}
                for @{ $group->{samples} };
        }
    }

    cmp_ok(max(@off) - min(@off), '<=', 2,
           "$name: sound and picture keep their distance within 1 ms "
           . '(CMAF-18)');
}


# --- tracks that end or change ------------------------------------------------

sub test_audio_stops {
    my @tags = grep { $_->{type} != $AUDIO || $_->{timestamp} < 5000 } @$clip;

    publish('audio-stops', @tags);
    my $video = served('audio-stops', 'source');
    my $audio = served('audio-stops', 'audio', stops => 1);

    test_payload('audio stops: every picture', $video, frames($VIDEO, @tags));
    test_payload('audio stops: every sound until then', $audio,
                 from_first_picture(@tags));
    test_decodes($_) for $video, $audio;
    test_aligned('audio stops', $video, $audio);

    cmp_ok($audio->{gaps}, '>=', 2,
           'audio stops: its playlist goes on with GAP (HLS-22)');
    is($video->{gaps}, 0, 'audio stops: no GAP in the video');
}


sub test_audio_changes {
    my @before = grep { $_->{timestamp} < 5000 } @$clip;
    my @after = shifted([ grep { $_->{type} == $AUDIO } @$cd ], 5000);
    my @video = grep { $_->{type} == $VIDEO && $_->{timestamp} >= 5000 }
                @$clip;

    my @tags = (@before, sort { $a->{timestamp} <=> $b->{timestamp} }
                         @after, @video);

    publish('audio-changes', @tags);
    my $video = served('audio-changes', 'source');
    my $audio = served('audio-changes', 'audio', stops => 1);

    test_payload('audio changes: every picture', $video,
                 frames($VIDEO, @tags));
    test_decodes($_) for $video, $audio;
    test_aligned('audio changes', $video, $audio);

    is(join(' ', map { $_->{init}{timescale} } @{ $audio->{groups} }),
       '48000 44100', 'audio changes: a discontinuity, a new init segment '
                      . '(RTMP-75, HLS-19)');
    cmp_ok(lost($audio, frames($AUDIO, @tags)), '<=', 2000 / 21.3 + 4,
           'audio changes: sound goes on with the next key frame');
}


sub test_picture_changes {
    my @before = grep { $_->{timestamp} < 6000 } @$clip;
    my @tags = (@before, shifted([ grep { $_->{type} == $AUDIO
                                          || $_->{type} == $VIDEO } @$big ],
                                 6000));

    publish('picture', @tags);
    my $video = served('picture', 'source');
    my $audio = served('picture', 'audio');

    test_payload('picture changes: every picture', $video,
                 frames($VIDEO, @tags));
    test_decodes($_) for $video, $audio;
    test_aligned('picture changes', $video, $audio);

    is(join(' ', map { "$_->{init}{width}x$_->{init}{height}" }
            @{ $video->{groups} }), '320x180 640x360',
       'picture changes: a discontinuity, a new init segment (RTMP-74)');
    is(multivariant('picture')->{variants}[0]{attributes}{RESOLUTION},
       '640x360', 'picture changes: RESOLUTION is the new one (HLS-34)');
}


# --- jumps --------------------------------------------------------------------

# The second half of the clip, from a key frame on, has other timestamps.
sub test_jump {
    my ($name, $to) = @_;

    my ($from) = map { $_->{timestamp} }
                 grep { $_->{type} == $VIDEO && is_key($_)
                        && $_->{timestamp} > 5000 } @$clip;

    my @tags = map { my $ms = $_->{timestamp};
                     +{ %$_, timestamp => $ms < $from ? $ms
                                                      : $ms - $from + $to } }
               @$clip;

    publish($name, @tags);
    my $video = served($name, 'source');
    my $audio = served($name, 'audio');

    test_payload("$name: every picture", $video, frames($VIDEO, @tags));
    test_decodes($_) for $video, $audio;
    test_aligned($name, $video, $audio);

    is(@{ $video->{groups} }, 2, "$name: one discontinuity (HLS-19)");
    cmp_ok(lost($audio, frames($AUDIO, @tags)), '<=', 4,
           "$name: hardly a sound is lost");

    my @pdt = map { $_->{pdt} } @{ $video->{playlist}{segments} };

    is_deeply([ sort { $a <=> $b } @pdt ], \@pdt,
              "$name: PROGRAM-DATE-TIME is monotonic (HLS-21)");
    cmp_ok($pdt[-1] - $pdt[0], '<', 60,
           "$name: and goes on from where it was");
    is(scalar(() = $t->log(qr/timestamps of the publisher jump/)),
       $name eq 'forward' ? 1 : 2, "$name: the log says it once");
}


# Timestamps without any sense (invariant 9).
sub test_no_clock {
    srand 11;

    my %wild = (
        random => sub { int rand 2 ** 32 },
        twins  => sub { $_[0]{type} == $VIDEO ? $_[0]{timestamp}
                                              : $_[0]{timestamp} + 7200_000 },
        still  => sub { 40 },
        steps  => sub { $_[0]{timestamp} * 300 },
        wraps  => sub { $_[0]{timestamp} + 2 ** 32 - 5000 },
    );

    for my $name (sort keys %wild) {
        publish("wild-$name", map { +{ %$_, timestamp => $wild{$name}->($_) } }
                              @$clip);
    }

    for my $name (sort keys %wild) {
        for my $rendition ('source', 'audio') {
            next if $t->get("/live/wild-$name/$rendition/playlist.m3u8")
                      ->{status} == 404 && $name ne 'wraps';

            served("wild-$name", $rendition, forced => 1);
        }
    }

    my $video = served('wild-wraps', 'source');

    test_payload('32 bits of ms are over: every picture', $video,
                 frames($VIDEO, @$clip));
    is(@{ $video->{groups} }, 1, 'and no discontinuity (RTMP-24)');
}
