#!/usr/bin/env perl

# Playlists as a strict player sees them while a stream goes on: promises that
# are kept, numbers that never change, times that add up (HLS-8, HLS-10..13,
# HLS-20, HLS-21, HLS-23, HLS-34..42, HLS-94, CMAF-14, CMAF-76).
#
# waits

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use List::Util qw/ any max min sum0 /;
use Test::Live;
use Test::Live::M3U8;
use Test::Live::MP4;
use Test::Live::RTMP;
use Test::More;
use Time::HiRes qw/ time sleep /;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }

live {
    zone 256m;
    resume 1s;
    window 300s;

    application obs { }
    application max { segment 2s max=3s; }
    application slide { segment 2s max=4s; window 12s; }
    application plain { segment 2s max=4s; window 12s; part 0; }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location ~ ^/none/ { return 404; }
        location /obs/ { live_play obs; }
        location /max/ { live_play max; }
        location /slide/ { live_play slide; }
        location /plain/ { live_play plain; }
    }
}
CONF

my ($VIDEO, $AUDIO) = (9, 8);

my $short = tags(seconds => 8, gop => 30);
my $obs = tags(seconds => 36, gop => 250);
my $long = tags(seconds => 13, gop => 600);
my $poor = tags(seconds => 8, extra => [qw/ -crf 45 /]);
my $rich_path = $t->clip(seconds => 8, fps => '30000/1001', bframes => 2,
                         rate => 44100, extra => [qw/ -crf 14 /]);
my $rich = Test::Live::RTMP::flv_tags($rich_path);

$t->run();

test_obs();
test_gop_grows();
test_forced_cuts();
test_hole();
test_irregular();
test_sliding('slide');
test_sliding('plain');
test_multivariant();

done_testing();


# --- input --------------------------------------------------------------------

sub tags {
    return Test::Live::RTMP::flv_tags($t->clip(@_));
}


# Clips after each other; without the records of those that do not change it.
sub joined {
    my ($records, @clips) = @_;

    my @tags;
    my $offset = 0;

    for my $clip (@clips) {
        my @media = grep { $_->{type} != 18 } @$clip;

        @media = grep { kind($_) != 0 } @media if @tags && !$records;
        push @tags, map { +{ %$_, timestamp => $_->{timestamp} + $offset } }
                    @media;

        $offset += 1000 * int(0.5 + $clip->[-1]{timestamp} / 1000);
    }

    return @tags;
}


sub kind { return $_[0]{type} == 18 ? -1 : ord substr $_[0]{payload}, 1, 1 }


sub frames {
    my ($type, @tags) = @_;

    return map { substr $_->{payload}, $type == $VIDEO ? 5 : 2 }
           grep { $_->{type} == $type && kind($_) == 1 } @tags;
}


sub publish {
    my ($app, $name, @tags) = @_;

    my $client = Test::Live::RTMP->start(port => $t->port(1935), app => $app,
                                         name => $name);

    ok($client->send_tags(\@tags), "$app/$name: published");
    $client->stop($name);
}


# --- what is served -----------------------------------------------------------

sub playlist {
    my ($stream, $rendition) = @_;

    my $r = $t->get("/$stream/$rendition/playlist.m3u8");

    return $r->{status} == 200 ? Test::Live::M3U8->parse($r->{body}) : undef;
}


sub ended {
    my ($stream, $rendition) = @_;

    my $playlist;

    $t->wait_for(sub {
        $playlist = playlist($stream, $rendition);
        return $playlist && $playlist->{endlist};
    }, 20, "ENDLIST of $stream/$rendition");

    return $playlist;
}


# All segments of a rendition that has ended, taken apart, but for GAPs; what
# the first sample is, is a matter of the test's.
sub segments {
    my ($stream, $rendition) = @_;

    my $playlist = ended($stream, $rendition);
    my (@errors, $before);
    my %init;

    is_deeply($playlist->{errors}, [], "$stream/$rendition: playlist (HLS-8, "
                                       . 'HLS-21)');

    for my $segment (@{ $playlist->{segments} }) {
        my $base = "/$stream/$rendition";

        if ($segment->{gap}) {
            $before = undef;
            next;
        }

        my $mp4 = Test::Live::MP4->segment(
            $t->get("$base/$segment->{uri}")->{body});

        $init{$segment->{map}} ||= Test::Live::MP4->init(
            $t->get("$base/$segment->{map}")->{body});

        my $scale = $init{$segment->{map}}{timescale};
        my $duration = ($mp4->{end} - $mp4->{start}) / $scale;

        push @errors, map { "$segment->{uri}: $_" }
                      grep { !/^CMAF-13/ } @{ $mp4->{errors} };
        push @errors, Test::Live::MP4::join_errors($before, $mp4)
            if $before && !$segment->{discontinuity};
        push @errors, "$segment->{uri}: EXTINF $segment->{duration} for "
                      . "$duration" if abs($segment->{duration} - $duration)
                                       > 2e-5;

        $segment->{mp4} = $before = $mp4;
        $segment->{scale} = $scale;
    }

    is_deeply(\@errors, [], "$stream/$rendition: EXTINF is what the media "
                            . 'lasts, strict CMAF, no tick between segments '
                            . '(HLS-10, CMAF-14, CMAF-76)');

    return $playlist;
}


sub test_frames {
    my ($what, $playlist, @frames) = @_;

    my @got = map { md5_hex($_->{data}) } map { @{ $_->{mp4}{samples} } }
              @{ $playlist->{segments} };

    is_deeply(\@got, [ map { md5_hex($_) } @frames ],
              "$what: every frame, byte for byte (invariant 2)");
}


# --- target durations ---------------------------------------------------------

sub test_obs {
    publish('obs', 'k250', @$obs);

    my $video = segments('obs/k250', 'source');
    my $audio = segments('obs/k250', 'audio');

    is($video->{target}, 10, 'OBS default, key frame every 250 frames: room '
                             . 'for it from the start (HLS-8)');
    is($audio->{target}, 10, 'OBS default: audio has the same target (HLS-9)');

    my @whole = @{ $video->{segments} };
    pop @whole;

    is_deeply([ grep { abs($_->{duration} - 250 / 30) > 1e-4 } @whole ], [],
              'OBS default: a segment is 250 frames');
    ok($video->{independent}, 'OBS default: INDEPENDENT-SEGMENTS (HLS-23)');
    test_frames('OBS default', $video, frames($VIDEO, @$obs));
    test_line_up('OBS default', $video, $audio);
    ok(scalar(() = $t->log(qr/key frames come every 8\.333s/)),
       'OBS default: the log says that they do not fit the segments');
}


# Segments of the same number begin within an audio frame of each other
# (HLS-46), and are sync at their beginning (CMAF-13).
sub test_line_up {
    my ($what, $video, $audio) = @_;

    my %video = map { $_->{msn} => $_ } @{ $video->{segments} };
    my @off;

    for my $a (@{ $audio->{segments} }) {
        my $v = $video{$a->{msn}};
        my $distance = $a->{mp4}{start} / $a->{scale}
                       - $v->{mp4}{start} / $v->{scale};

        push @off, "$a->{msn}: $distance"
            if $distance < -1e-3 || $distance > 1024 / $a->{scale} + 1e-3;
        push @off, "$a->{msn}: " . abs($a->{pdt} - $v->{pdt})
            if abs($a->{pdt} - $v->{pdt}) > 1024 / $a->{scale} + 2e-3;
    }

    is(@{ $audio->{segments} }, @{ $video->{segments} },
       "$what: as many segments of audio as of video");
    is_deeply(\@off, [], "$what: tfdt and PROGRAM-DATE-TIME of video and "
                         . 'audio line up within an audio frame (HLS-46)');
    is_deeply([ grep { !$_->{mp4}{samples}[0]{sync} } @{ $video->{segments} },
                                                      @{ $audio->{segments} } ],
              [], "$what: each segment begins with a sync sample (CMAF-13)");
}


# The encoder's key frames become rarer in mid-stream.
sub test_gop_grows {
    my @tags = joined(0, $short, $obs);

    publish('obs', 'grows', @tags);

    my $playlist = segments('obs/grows', 'source');

    is($playlist->{target}, 10, 'GOP grows: the target stays (HLS-8)');
    is_deeply([ map { sprintf '%.0f', $_->{duration} }
                @{ $playlist->{segments} }[0, 1] ], [ 4, 4 ],
              'GOP grows: segments of 4 s at first');
    is(scalar(grep { $_->{discontinuity} } @{ $playlist->{segments} }), 0,
       'GOP grows: no discontinuity');
    test_frames('GOP grows', $playlist, frames($VIDEO, @tags));
}


# No key frame for longer than max=: a cut without one.
sub test_forced_cuts {
    publish('max', 'forced', @$long);

    my $video = segments('max/forced', 'source');
    my $audio = segments('max/forced', 'audio');
    my @sync = map { $_->{mp4}{samples}[0]{sync} } @{ $video->{segments} };

    is($video->{target}, 3, 'forced cut: max= is the target (HLS-8)');
    cmp_ok(@sync, '>=', 4, 'forced cut: segments end without a key frame');
    is("@sync[0 .. 2]", '1 0 0', 'forced cut: they begin with what came');
    ok(!$video->{independent},
       'forced cut: no INDEPENDENT-SEGMENTS (HLS-23)');
    ok($audio->{independent}, 'forced cut: audio is independent all the same');
    unlike($t->get('/max/forced/playlist.m3u8')->{body},
           qr/INDEPENDENT-SEGMENTS/,
           'forced cut: nor does the multivariant playlist claim it (HLS-23)');
    test_frames('forced cut', $video, frames($VIDEO, @$long));
    ok(scalar(() = $t->log(qr/no key frame for 3\.\d+s, segments are cut/)),
       'forced cut: the log names the reason');
}


# The encoder was asleep for 8 s: no frame lasts that long.  Pictures behind it
# wait for a key frame (CMAF-13).
sub test_hole {
    my @tags = map { +{ %$_, timestamp => $_->{timestamp}
                                          + ($_->{timestamp} > 4500
                                             ? 8000 : 0) } } @$short;

    publish('max', 'hole', @tags);

    for my $rendition ('source', 'audio') {
        my $playlist = segments('max/hole', $rendition);

        is($playlist->{target}, 3, "hole, $rendition: the target stays");
        is(scalar(grep { $_->{discontinuity} } @{ $playlist->{segments} }), 1,
           "hole, $rendition: a discontinuity (HLS-19)");
        cmp_ok(sum0(map { $_->{duration} } @{ $playlist->{segments} }), '<',
               9, "hole, $rendition: EXTINF do not count it");
        my @pdt = map { $_->{pdt} } @{ $playlist->{segments} };
        cmp_ok($pdt[-1] - $pdt[0], '>', 13,
               "hole, $rendition: PROGRAM-DATE-TIME does (HLS-21)");
    }
}


# Frames come when they like: what is written is when they came.
sub test_irregular {
    my (@ms, @tags);
    my $ms = 0;

    srand 7;

    for my $tag (grep { $_->{type} == $VIDEO && kind($_) < 2 } @$short) {
        push @tags, { %$tag, timestamp => $ms };
        next if kind($tag) != 1;

        push @ms, $ms;
        $ms += 8 + int rand 80;
    }

    publish('max', 'irregular', @tags);

    my $playlist = segments('max/irregular', 'source');
    my @samples = map { @{ $_->{mp4}{samples} } } @{ $playlist->{segments} };
    my @off = map { ($samples[$_]{dts} + $samples[$_]{cts}) / 90 - $ms[$_] }
              0 .. min($#ms, $#samples);

    test_frames('irregular frames', $playlist, frames($VIDEO, @tags));
    cmp_ok(max(@off) - min(@off), '<=', 3.1,
           'irregular frames: each is presented within 1.5 ms of its time');
}


# --- the sliding window -------------------------------------------------------

# Polls both playlists while 50 s of media come eight times as fast as they
# play, with a jump in the middle and cuts without key frames.
sub test_sliding {
    my ($app) = @_;

    my @tags = joined(0, $short, $short, $long, $short, $short);

    @tags = map { +{ %$_, timestamp => $_->{timestamp}
                                       + ($_->{timestamp} > 10_000
                                          ? 500_000 : 0) } } @tags;

    my $client = Test::Live::RTMP->start(port => $t->port(1935),
                                         app => $app, name => 'live');
    my %seen = map { $_ => crawler($app, $_) } qw/ source audio /;
    my ($start, $ms, $last) = (time(), 0, 0);

    for my $tag (@tags) {
        my $step = $tag->{timestamp} - $last;

        $ms += $step if $step > 0 && $step < 1000;
        $last = $tag->{timestamp};

        while (time() < $start + $ms / 8000) {

            # asked before there is a part, it would be held, and nobody sends
            if ($ms > 2500) {
                poll_playlist($_) for values %seen;
            }

            sleep 0.02;
        }

        $client->send_tags([ $tag ]) or last;
    }

    $client->stop('live');

    for my $crawler (map { $seen{$_} } sort keys %seen) {
        $t->wait_for(sub { poll_playlist($crawler)->{endlist} }, 20, 'ENDLIST');
        test_crawled($crawler);
    }

    is_deeply($seen{audio}{dsn}, $seen{source}{dsn},
              "$app: a segment has the same discontinuities in both "
              . 'renditions (HLS-20)');
}


sub crawler {
    my ($app, $rendition) = @_;

    return { rendition => $rendition, errors => [], versions => 0, dsn => {},
             md5 => {}, total => [], base => "/$app/live/$rendition",
             independent => '' };
}


sub poll_playlist {
    my ($c) = @_;

    my $r = $t->get("$c->{base}/playlist.m3u8");

    if ($r->{status} == 404 && !$c->{versions}) {
        return {};
    }

    return $c->{last} if $c->{text} && $r->{body} eq $c->{text};

    my $p = Test::Live::M3U8->parse($r->{body});

    push @{ $c->{errors} }, "status $r->{status}" if $r->{status} != 200;
    push @{ $c->{errors} }, @{ $p->{errors} };
    push @{ $c->{errors} }, $p->changes_since($c->{last}) if $c->{last};

    # a segment is fetched when it is first seen, and when it leaves
    my $gone = $c->{last} && $p->{sequence} > $c->{last}{sequence}
               && $c->{last}{segments}[0];

    for my $segment ($gone || (), $p->{segments}[-1] || ()) {
        my $body = $t->get("$c->{base}/$segment->{uri}")->{body};
        my $md5 = md5_hex($body);

        push @{ $c->{errors} }, "$segment->{uri} has changed"
            if ($c->{md5}{$segment->{uri}} ||= $md5) ne $md5;

        my $mp4 = Test::Live::MP4->segment($body);

        $c->{sync}{$segment->{msn}} = $mp4->{samples}[0]{sync};
    }

    my @sync = grep { defined } map { $c->{sync}{$_->{msn}} }
               @{ $p->{segments} };

    push @{ $c->{errors} }, 'HLS-23: INDEPENDENT-SEGMENTS is not true'
        if $p->{independent} && any { !$_ } @sync;

    $c->{independent} .= $p->{independent} ? 'i' : '-';
    $c->{dsn}{$_->{msn}} = $_->{dsn} for @{ $p->{segments} };
    push @{ $c->{total} }, sum0(map { $_->{duration} } @{ $p->{segments} });

    $c->{versions}++;
    $c->{text} = $r->{body};
    $c->{last} = $p;

    return $p;
}


sub test_crawled {
    my ($c) = @_;

    my $what = "sliding window, $c->{base}";

    cmp_ok($c->{versions}, '>', 15, "$what: many versions were seen");
    is_deeply($c->{errors}, [], "$what: each keeps the rules and differs from "
                . 'the one before as it may (HLS-11, HLS-13, HLS-20, HLS-94)');
    cmp_ok($c->{last}{sequence}, '>', 10, "$what: it slides (HLS-11)");
    cmp_ok(max(values %{ $c->{dsn} }), '>=', 1, "$what: a discontinuity");
    is($c->{last}{discontinuity_sequence},
       $c->{dsn}{$c->{last}{sequence}}, "$what: DISCONTINUITY-SEQUENCE "
                                        . 'counts what has left (HLS-20)');

    my $full = 0;

    for my $total (@{ $c->{total} }) {
        fail("$what: it shrinks to $total (HLS-16)") if $full && $total < 12;
        $full = 1 if $total >= 12;
    }

    cmp_ok(max(@{ $c->{total} }), '<', 12 + 4.5,
           "$what: no more than the window and a segment");
    like($c->{independent}, $c->{rendition} eq 'source' ? qr/^i+-+i+$/
                                                        : qr/^i+$/,
         "$what: INDEPENDENT-SEGMENTS is there when it is true (HLS-23)");
}


# --- the multivariant playlist ------------------------------------------------

sub test_multivariant {
    publish('max', 'true', joined(1, $poor, $rich));

    my ($peak, $average) = measure('max/true', 3);
    my $playlist = Test::Live::M3U8->parse(
        $t->get('/max/true/playlist.m3u8')->{body});
    my $attributes = $playlist->{variants}[0]{attributes};
    my ($v, $a) = probe($rich_path);

    my %profiles = (Baseline => '42', Main => '4d', High => '64');
    my ($profile, $level) = $attributes->{CODECS} =~ /^avc1\.(..)..(..),/;

    is_deeply($playlist->{errors}, [], 'multivariant playlist');
    is($profile, $profiles{$v->{profile}}, 'CODECS: the profile of the clip '
                                           . '(HLS-38)');
    is(hex $level, $v->{level}, 'CODECS: the level of the clip (HLS-38)');
    like($attributes->{CODECS}, qr/,mp4a\.40\.2$/, 'CODECS: AAC-LC (HLS-42)');
    is($attributes->{RESOLUTION}, "$v->{width}x$v->{height}",
       'RESOLUTION of the clip (HLS-34)');
    is($attributes->{'FRAME-RATE'}, '29.970', 'FRAME-RATE (HLS-34)');
    is($playlist->{media}[0]{CHANNELS}, $a->{channels},
       'CHANNELS of the clip (HLS-44)');

    cmp_ok($attributes->{BANDWIDTH}, '>=', int $peak,
           'BANDWIDTH is at least the measured peak (HLS-35)');
    cmp_ok($attributes->{BANDWIDTH}, '<=', 1.3 * $peak,
           'BANDWIDTH is not much more (HLS-35)');
    cmp_ok(abs($attributes->{'AVERAGE-BANDWIDTH'} / $average - 1), '<=', 0.1,
           'AVERAGE-BANDWIDTH is what was measured (HLS-35)');
}


# Entries of ffprobe for the video and the audio of a file.
sub probe {
    my ($path) = @_;

    return map {
        my ($code, $text) = $t->command(
            qw/ ffprobe -v error -select_streams /, $_, '-show_entries',
            'stream=profile,level,width,height,channels', $path);
        +{ $text =~ /^(\w+)=(.*)$/mg };
    } 'v', 'a';
}


# The peak over runs of segments of 0.5 to 1.5 targets, and the average, of
# picture and sound together.
sub measure {
    my ($stream, $target) = @_;

    my ($peak, $average) = (0, 0);

    for my $rendition ('source', 'audio') {
        my @segments = @{ ended($stream, $rendition)->{segments} };
        my ($most, $bits, $seconds) = (0, 0, 0);

        $_->{bits} = 8 * length $t->get("/$stream/$rendition/$_->{uri}")
                                  ->{body} for @segments;

        for my $i (0 .. $#segments) {
            my ($run, $size) = (0, 0);

            for my $segment (@segments[$i .. $#segments]) {
                $run += $segment->{duration};
                $size += $segment->{bits};
                last if $run > 1.5 * $target;
                $most = max($most, $size / $run) if $run >= 0.5 * $target;
            }

            $bits += $segments[$i]{bits};
            $seconds += $segments[$i]{duration};
        }

        $peak += $most;
        $average += $bits / $seconds;
    }

    return ($peak, $average);
}
