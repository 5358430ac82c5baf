#!/usr/bin/env perl

# asan
# waits
#
# Sources that are not plain: sizes, pixels that are not square, interlaced, 10
# bits, full range, HDR, no constant frame rate, another size in the middle,
# and bit streams that are broken.  What the source can have, the rungs have;
# what it can not is left out and said.

use strict;
use warnings;

use Test::Live;
use Test::Live::Ladder;
use Test::Live::M3U8;
use Test::Live::RTMP;
use Test::More;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 1;
events { }

thread_pool live threads=2;

live {
    zone 512m;
    thread_pool live;
    segment 1s max=2s;
    part 200ms;
    window 20s;
    resume 1s;
    transcode always;

    application live {
        rendition source copy;
        rendition big  size=640x360 video=400k preset=ultrafast;
        rendition low  size=320x180 video=200k preset=ultrafast;
        rendition tiny size=160x90 video=80k preset=ultrafast audio=48k;
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

my $SOUND = 1024 / 22050 + 0.002;

$Test::Live::Ladder::segment = 1;

$t->run();

test_source('plain',      { size => '320x180' }, [ 320, 180 ], [ 160, 90 ]);
test_source('odd',        { size => '354x202' }, [ 316, 180 ], [ 158, 90 ]);
test_source('upright',    { size => '180x320' }, [ 102, 180 ], [ 50, 90 ]);
test_source('wide pixels',
            { size => '240x180', extra => [ '-vf', 'setsar=4/3' ] },
            [ 320, 180 ], [ 160, 90 ]);
test_source('interlaced',
            { size => '320x180', fps => 50, gop => 25, extra => [
                qw/ -vf interlace=lowpass=0 -flags +ilme+ildct /,
                '-x264-params', 'tff=1:keyint=25:min-keyint=25:scenecut=0' ] },
            [ 320, 180 ], [ 160, 90 ]);
test_source('10 bits',
            { size => '320x180', extra => [ qw/ -pix_fmt yuv420p10le / ] },
            [ 320, 180 ], [ 160, 90 ]);
test_source('4:2:2',
            { size => '320x180', extra => [ qw/ -pix_fmt yuv422p / ] },
            [ 320, 180 ], [ 160, 90 ]);
test_source('full range',
            { size => '320x180', extra => [ qw/ -pix_fmt yuvj420p -color_range pc / ] },
            [ 320, 180 ], [ 160, 90 ]);
test_source('22050 Hz, 50 frames a second',
            { size => '320x180', fps => 50, gop => 50, rate => 22050,
              channels => 1 }, [ 320, 180 ], [ 160, 90 ]);
test_source('29.97', { size => '320x180', fps => '30000/1001', bframes => 3 },
            [ 320, 180 ], [ 160, 90 ]);

test_irregular();
test_small();
test_hdr();
test_change();
test_broken();
test_truncated();
test_no_audio();
test_no_video();

is(scalar(() = $t->log(qr/sheds load|cannot be written/)), 0,
   'nothing was shed');

done_testing();


# --- helpers ------------------------------------------------------------------

sub tags {
    return Test::Live::RTMP::flv_tags($t->clip(seconds => 5, gop => 30, @_));
}


sub stream { return $_[0] =~ s/\W+/-/gr }


sub publish {
    my ($name, $tags, @renditions) = @_;

    return send_whole($t, 'live/' . stream($name), $tags,
                      @renditions ? @renditions : ('low', 'tiny'));
}


# All that must hold of a rung, and the rung.
sub check {
    my ($name, $source, $rung, %option) = @_;

    my $r = fetch($t, '/live/' . stream($name) . "/$rung");

    # what could not be decoded is a hole, listed as a GAP
    my @errors = grep { !$option{hole} || !/^CMAF-14: segment starts at/ }
                 @{ $r->{errors} };

    is_deeply(\@errors, [], "$name, $rung: by the rules");
    is_deeply([ decode_errors($t, $r) ], [], "$name, $rung: decodes");

    return $r if $rung =~ /audio/;

    is_deeply([ closed_errors($r) ], [], "$name, $rung: closed segments");
    is_deeply([ cut_errors($source, $r, least => 3, %option) ], [],
              "$name, $rung: cut where the source is") if $source;

    return $r;
}


sub source {
    my ($name) = @_;

    return fetch($t, '/live/' . stream($name) . '/source');
}


sub sizes {
    my ($r) = @_;

    return map { [ $_->{width}, $_->{height} ] }
           map { $r->{inits}{$_} } sort keys %{ $r->{inits} };
}


# The format of the decoded pictures.
sub format_of {
    my ($r) = @_;

    my ($file) = Test::Live::Ladder::files($t, $r);
    my (undef, $output) = $t->command(
        qw/ ffprobe -v error -of default=nw=1 -show_entries /,
        'stream=pix_fmt,color_range,field_order,sample_aspect_ratio',
        $file->{path});

    return { $output =~ /^(\w+)=(.*)$/mg };
}


# The mean brightness of the pictures is that of the source.
sub brightness {
    my ($r) = @_;

    my @pictures = pictures($t, $r, 1, 1) or return 0;
    my $sum = 0;

    $sum += ord $_->{bytes} for @pictures;

    return $sum / @pictures;
}


# --- sources that are different -----------------------------------------------

sub test_source {
    my ($name, $clip, $low, $tiny) = @_;

    ok(publish($name, tags(%$clip)), "$name: published");

    my $source = source($name);

    # the encoder's, which we pass on
    my @rungs = map { check($name, $source, $_) } qw/ low tiny /;

    is_deeply([ map { sizes($_) } @rungs ], [ $low, $tiny ],
              "$name: sizes of the same shape");

    my $format = format_of($rungs[1]);

    is($format->{pix_fmt}, 'yuv420p', "$name: 8 bits, 4:2:0");
    isnt($format->{color_range}, 'pc', "$name: limited range");
    like($format->{sample_aspect_ratio}, qr{^(?:1:1|N/A)$},
         "$name: square pixels");
    like($format->{field_order}, qr/^(?:progressive|unknown)$/,
         "$name: whole frames");

    my ($is, $was) = map { brightness($_) } $rungs[1], $source;

    cmp_ok(abs($is - $was), '<', 6, "$name: as bright as the source");

    ok(scalar(grep { /rendition "big" is left out, the source has only/ }
              $t->log(qr/"live\/\Q@{[ stream($name) ]}\E"/)),
       "$name: what is larger than the source is left out, and said");
    is($t->get('/live/' . stream($name) . '/big/playlist.m3u8')->{status},
       404, "$name: and is not there");
}


# Frames of 17 to 66 ms.
sub test_irregular {
    my ($name, $at) = ('irregular', 0);

    srand 7;

    my @tags = @{ tags(size => '320x180', audio => 0) };

    for my $tag (grep { $_->{type} == 9
                        && ord(substr $_->{payload}, 1, 1) == 1 } @tags) {
        $tag->{timestamp} = $at;
        $at += 17 + int rand 50;
    }

    ok(publish($name, \@tags), "$name: published");

    my $source = source($name);
    my $low = check($name, $source, 'low', parts => 0);
    my $begins = $low->{segments}[0]{first};

    is_deeply([ map { sprintf '%.4f', $_ } presented($low) ],
              [ map { sprintf '%.4f', $_ } grep { $_ >= $begins }
                presented($source) ], "$name: every frame at its time");
}


sub test_small {
    my $name = 'small';
    my $tags = tags(size => '128x72');

    ok(publish($name, $tags, 'source'), "$name: published");
    is_deeply($_, [], "$name: the source is there, by the rules")
        for source($name)->{errors};

    for my $rung (qw/ big low tiny /) {
        is(scalar(grep { m{"live/small"} } $t->log(
               qr/rendition "$rung" is left out, the source has only 128x72/)),
           1, "$name: $rung is left out, and said once");
        is($t->get("/live/small/$rung/playlist.m3u8")->{status}, 404,
           "$name: there is no $rung");
    }
}


sub test_hdr {
    my $name = 'hdr';
    my $tags = tags(size => '320x180', extra => [
        qw/ -pix_fmt yuv420p10le -color_primaries bt2020
            -color_trc smpte2084 -colorspace bt2020nc / ]);

    ok(publish($name, $tags, 'source'), "$name: published");

    my $source = source($name);

    is_deeply($source->{errors}, [], "$name: the source goes on");
    is(scalar @{ $source->{segments} }, 5, "$name: all of it");

    for my $rung (qw/ low tiny /) {
        my @lines = grep { m{"live/hdr"} }
                    $t->log(qr/rendition "$rung" is left out: .*HDR/);

        is(scalar @lines, 1, "$name: $rung is left out, and said why");
        is($t->get("/live/hdr/$rung/playlist.m3u8")->{status}, 404,
           "$name: there is no $rung");
    }
}


# Another size in the middle: rungs stay what they are.
sub test_change {
    my $name = 'change';
    my @first = @{ tags(size => '320x180', seconds => 3) };
    my @second = map { +{ %$_, timestamp => $_->{timestamp} + 3000 } }
                 grep { $_->{type} != 18 }
                 @{ tags(size => '240x180', seconds => 3) };

    ok(publish($name, [ @first, @second ]), "$name: published");

    my $source = source($name);

    is(scalar(keys %{ $source->{inits} }), 2, "$name: the source has changed");

    for my $rung (qw/ low tiny /) {
        my $r = check($name, $source, $rung);

        is(scalar(keys %{ $r->{inits} }), 1, "$name, $rung: has not");

        my $begins = $r->{segments}[0]{first};

        is(scalar(samples($r)),
           scalar(grep { $_ >= $begins } presented($source)),
           "$name, $rung: every frame");
    }
}


# --- sources that are broken --------------------------------------------------

# Garbage in some frames of the third second; with the key frame behind it all
# is well.
sub test_broken {
    my $name = 'broken';
    my @tags = @{ tags(size => '320x180', seconds => 6) };

    srand 3;

    for my $tag (@tags) {
        next unless $tag->{type} == 9 && $tag->{timestamp} >= 2200
                    && $tag->{timestamp} < 2900;

        # the lengths stay: the source is passed on as it is
        my $length = length $tag->{payload};

        substr($tag->{payload}, $_, 1) = chr int rand 256
            for grep { $_ > 9 } 20 .. $length - 1;
    }

    ok(publish($name, \@tags, 'source'), "$name: published");
    ok(scalar(() = $t->log(qr/the video cannot be decoded: .*next key frame/)),
       "$name: said in the log");

    my $source = source($name);

    for my $rung (qw/ low tiny /) {
        my $r = check($name, undef, $rung, hole => 1);
        my @last = grep { $_->{msn} >= 4 && $_->{samples} }
                   @{ $r->{segments} };

        is(scalar @last, 3, "$name, $rung: goes on to the end");
        is_deeply([ map { scalar @{ $_->{samples} } } @last ], [ 30, 30, 30 ],
                  "$name, $rung: with all frames behind the next key frame");
        is_deeply([ map { sprintf '%d %.4f', $_->{msn}, $_->{first} } @last ],
                  [ map { sprintf '%d %.4f', $_->{msn}, $_->{first} }
                    grep { $_->{msn} >= 4 } @{ $source->{segments} } ],
                  "$name, $rung: at the times of the source");
    }
}


# Frames of all kinds of wrong: nothing crashes, and the next stream is well.
sub test_truncated {
    my $name = 'truncated';
    my @tags = @{ tags(size => '320x180', seconds => 4) };

    srand 11;

    for my $tag (@tags) {
        next unless ord(substr $tag->{payload}, 1, 1) == 1 && rand() < 0.3;

        my $length = length $tag->{payload};

        if ($tag->{type} == 9 && $length > 40) {

            # a unit of the right length with noise from somewhere on
            my $from = 10 + int rand($length - 10);

            substr($tag->{payload}, $from) =
                join '', map { chr int rand 256 } $from .. $length - 1;

        } elsif ($tag->{type} == 8) {
            $tag->{payload} = substr $tag->{payload}, 0, 2 + int rand $length;
        }
    }

    ok(publish($name, \@tags, 'source'), "$name: published");
    source($name);
    is($t->workers(), 1, "$name: the worker lives");
    is(scalar(() = $t->log(qr/worker process \d+ exited on signal/)), 0,
       "$name: none has died");

    ok(publish('after', tags(size => '320x180')), 'after: published');
    check('after', source('after'), 'low');
}


sub test_no_audio {
    my $name = 'silent';

    ok(publish($name, tags(size => '320x180', audio => 0)),
       "$name: published");

    check($name, source($name), $_) for qw/ low tiny /;

    is($t->get("/live/silent/$_/playlist.m3u8")->{status}, 404,
       "$name: there is no $_") for qw/ audio audio-48k /;
}


# Nothing to scale: the audio goes on.
sub test_no_video {
    my $name = 'blind';

    ok(publish($name, tags(video => 0), 'audio'), "$name: published");

    my $r = fetch($t, '/live/blind/audio');

    is_deeply($r->{errors}, [], "$name: the audio is there, by the rules");
    is($t->get("/live/blind/$_/playlist.m3u8")->{status}, 404,
       "$name: there is no $_") for qw/ source low tiny /;
}
