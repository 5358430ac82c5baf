#!/usr/bin/env perl

# asan
# tsan
# slate: what fills the time in which a publisher is away, as players see it
# (invariants 1, 3, 10; HLS-8..23).

use strict;
use warnings;

use List::Util qw/ max sum0 /;
use Test::Live;
use Test::Live::Crawl::DASH;
use Test::Live::Crawl::HLS;
use Test::Live::Loop;
use Test::Live::M3U8;
use Test::Live::MPD;
use Test::Live::Served;
use Test::More;
use Time::HiRes qw/ time /;

use constant { PUBLISHED => 4, AWAY => 2.5, RESUME => 8 };

my $t = Test::Live->new();

make('red.png', qw/ -i color=c=red:size=200x200 -frames:v 1 /);
make('blue.mp4', '-i', 'color=c=blue:size=320x180:rate=25',
     qw/ -f lavfi -i sine=frequency=440:sample_rate=44100 -t 1.5
         -c:v libx264 -pix_fmt yuv420p -c:a aac /);
make('tone.m4a', qw/ -i sine=frequency=440:sample_rate=44100 -t 5
                     -c:a aac /);

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 1;
events { }

live {
    zone 128m;
    segment 1s max=2s;
    window 60s;
    resume 8s;
    slate red.png;

    application picture { }
    application clip { slate blue.mp4; }
    application tone { slate %%DIR%%/tone.m4a; }
    application none { slate off; }

    application ladder {
        rendition source copy;
        rendition low size=160x90 video=100k preset=ultrafast;
        transcode always;
    }

    application demand {
        rendition source copy;
        rendition low size=160x90 video=100k preset=ultrafast;
    }
}

stream { server { listen 127.0.0.1:%%PORT_1935%%; live_rtmp; } }

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /picture/ { live_play picture; }
        location /clip/ { live_play clip; }
        location /tone/ { live_play tone; }
        location /none/ { live_play none; }
        location /ladder/ { live_play ladder; }
        location /demand/ { live_play demand; }
        location = /streams { live_api picture; }
    }
}
CONF

my $both = $t->clip(seconds => PUBLISHED, gop => 30);
my $sound = $t->clip(seconds => PUBLISHED, gop => 30, video => 0);
my $video = $t->clip(seconds => PUBLISHED, gop => 30, audio => 0);

my $watched = 0;

# rgb: what is in the middle of the slate, loud: it has sound
my %streams = (
    'picture/both'  => { clip => $both, rgb => [ 255, 0, 0 ], crawl => 1 },
    'picture/sound' => { clip => $sound },
    'picture/video' => { clip => $video, rgb => [ 255, 0, 0 ] },
    'clip/both'     => { clip => $both, rgb => [ 0, 0, 255 ], loud => 1 },
    'tone/both'     => { clip => $both, rgb => [ 0, 0, 0 ], loud => 1 },
    'tone/sound'    => { clip => $sound, loud => 1 },
    'ladder/both'   => { clip => $both, rgb => [ 255, 0, 0 ] },
    'demand/both'   => { clip => $both, rgb => [ 255, 0, 0 ] },
    'none/both'     => { clip => $both },
);

$t->run();

publish();

test_stream($_) for sort grep { $_ ne 'none/both' } keys %streams;
test_low('ladder');
test_low('demand');
test_ts();
test_none();
test_log();

done_testing();


# --- what is published --------------------------------------------------------

# Each stream twice, with a pause between; players follow until all is over.
sub publish {
    my $loop = Test::Live::Loop->new(port => $t->port(8080));
    my $looked = 0;

    for my $name (sort keys %streams) {
        my $s = $streams{$name};

        $s->{pid} = $t->ffmpeg_publish($name, clip => $s->{clip});
        $s->{begin} = time();

        next unless $s->{crawl};

        my %option = (loop => $loop, base => "/$name");

        $s->{hls} = Test::Live::Crawl::HLS->new(%option);
        $s->{dash} = Test::Live::Crawl::DASH->new(%option);
        $_->start() for $s->{hls}, $s->{dash};
    }

    my @all = values %streams;

    ok($loop->run(sub {
        step($_) for sort keys %streams;
        watch($loop);

        my $s = $streams{'picture/both'};

        if (!$looked && $s->{gone} && time() > $s->{gone} + AWAY - 0.5) {
            $looked = 1;
            test_away();
        }

        return !grep { !$_->{over} || $_->{hls} && !($_->{hls}->ended()
                                                     && $_->{dash}->ended()) }
               @all;
    }, 60), 'all streams have ended');

    $_->stop() for map { ($_->{hls}, $_->{dash}) } grep { $_->{hls} } @all;
}


# A rung is made as long as somebody asks for it.
sub watch {
    my ($loop) = @_;

    my $now = int time();

    return if $watched == $now;

    $watched = $now;
    $loop->get('/demand/both/low/playlist.m3u8', sub { });
}


sub step {
    my ($name) = @_;

    my $s = $streams{$name};

    return if $s->{over};

    if (!$s->{gone}) {
        $s->{gone} = time() unless $t->is_running($s->{pid});

    } elsif (!$s->{back}) {
        return if time() < $s->{gone} + AWAY;

        $s->{back} = time();
        $s->{pid} = $t->ffmpeg_publish($name, clip => $s->{clip});

    } elsif (!$t->is_running($s->{pid})) {
        $s->{over} = time();
    }
}


# While nobody publishes.
sub test_away {
    my ($api) = grep { /"name":"both"/ }
                $t->get('/streams')->{body} =~ /(\{"application.*?\}\})/g;

    like($api, qr/"state":"away"/, 'the publisher of the stream is away');
    like($api, qr/"slate":true/, 'and its slate there');
    like($api, qr/"bitrate":0,/, 'which is nobody who publishes');

    my $p = playlist('/picture/both/source');
    my @slate = grep { $_->{dsn} } @{ $p->{segments} };

    cmp_ok(scalar @slate, '>=', 1, 'the playlist has grown meanwhile');
    is(scalar(grep { !@{ $_->{parts} || [] } } @slate), 0,
       'by segments with parts (HLS-50)');
    is(scalar @{ $p->{hints} }, 1, 'and says what is next (HLS-53)');

    my $mpd = Test::Live::MPD->parse(
        $t->get('/picture/both/manifest.mpd')->{body});

    is(scalar @{ $mpd->{periods} }, 2, 'the manifest has a new period');
}


# --- what players get ---------------------------------------------------------

sub test_stream {
    my ($name) = @_;

    my $s = $streams{$name};
    my @renditions = ($s->{clip} eq $sound ? () : 'source',
                      $s->{clip} eq $video ? () : 'audio');

    my %served = map {
        $_ => Test::Live::Served->new($t, "/$name", $_)
    } @renditions;

    for my $rendition (@renditions) {
        my $served = $served{$rendition};
        my $what = "$name, $rendition";

        is_deeply($served->{errors}, [], "$what: HLS and CMAF");
        is($served->{playlist}{endlist}, 1, "$what: ends (HLS-14)");
        is($served->discontinuities(), 3,
           "$what: a discontinuity where a publisher goes, or comes (HLS-19)");
        is($served->{gaps}, 0, "$what: no gap");
        is(scalar @{ $served->{groups} }, 4, "$what: slates between them");

        my ($md5, $complaint) = $served->frames();

        is($complaint, '', "$what: all of it decodes");
        is(scalar @$md5, scalar @{ $served->{samples} },
           "$what: to as many frames") if $rendition eq 'source';

        test_times($what, $s, $served);
    }

    test_pictures($name, $s, $served{source}) if $served{source};
    test_sounds($name, $s, $served{audio}) if $served{audio};

    is_deeply([ Test::Live::Served::out_of_step(@served{qw/ source audio /}) ],
              [], "$name: tracks in step") if @renditions == 2;

    verdict($name, $s) if $s->{hls};
}


# A slate lasts as long as nobody publishes, and begins where the media ends.
sub test_times {
    my ($what, $s, $served) = @_;

    my @length;

    for my $segment (@{ $served->{playlist}{segments} }) {
        $length[ $segment->{dsn} ] += $segment->{duration};
    }

    my $away = $s->{back} - $s->{gone};

    cmp_ok(abs($length[1] - $away), '<', 2,
           "$what: $length[1] s of slate for $away s");
    cmp_ok(abs($length[3] - RESUME), '<', 2,
           "$what: $length[3] s of slate until resume is over");

    my @segments = @{ $served->{playlist}{segments} };
    my ($at) = grep { $segments[$_]{discontinuity} } 0 .. $#segments;
    my $hole = $segments[$at]{pdt} - $segments[$at - 1]{pdt}
               - $segments[$at - 1]{duration};

    cmp_ok(abs $hole, '<', 0.05, "$what: the slate begins without a hole");

    my $most = max(map { $_->{duration} } @segments);

    cmp_ok($most, '<', 2.5, "$what: no segment is too long (HLS-8)");
}


sub test_pictures {
    my ($name, $s, $served) = @_;

    for my $n (1, 3) {
        my $group = $served->{groups}[$n];
        my @middle = pixels($group->{bytes}, 'iw/2-4', 'ih/2-4');

        is(scalar @middle, scalar @{ $group->{samples} },
           "$name: the pictures of slate $n");
        is_deeply([ grep { !alike($_, $s->{rgb}) } @middle ], [],
                  "$name: are what the file has");

        is($group->{init}{width} . 'x' . $group->{init}{height}, '320x180',
           "$name: of the size of the source");
    }

    # a square in a wide picture
    if ($name =~ /^picture/) {
        my @side = pixels($served->{groups}[1]{bytes}, 4, 'ih/2-4');

        is_deeply([ grep { !alike($_, [ 0, 0, 0 ]) } @side ], [],
                  "$name: with bars");
    }

    my @source = pixels($served->{groups}[2]{bytes}, 'iw/2-4', 'ih/2-4');

    is(scalar(grep { alike($_, $s->{rgb}) } @source), 0,
       "$name: and nothing of it in those of the publisher");
}


sub test_sounds {
    my ($name, $s, $served) = @_;

    my @loud = map { loudness($_->{bytes}) } @{ $served->{groups} };

    cmp_ok($loud[2], '>', 300, "$name: the publisher is heard");

    if ($s->{loud}) {
        cmp_ok($loud[1], '>', 300, "$name: and the slate");
    } else {
        cmp_ok($loud[1], '<', 3, "$name: and no slate");
    }

    is($served->{groups}[1]{init}{timescale},
       $served->{groups}[0]{init}{timescale}, "$name: of the same rate");
}


# For a moment there is nobody, until the slate is there.
sub verdict {
    my ($name, $s) = @_;

    my $away = [ map { [ $_ - 1, $_ + 1 ] } $s->{gone}, $s->{over} ];
    my $last = $s->{over} + RESUME - 1;

    push @$away, [ $last, 9e9 ];

    my $hls = $s->{hls}->check(away => $away);
    my $dash = $s->{dash}->check(hls => $hls->{tracks}, away => $away);

    is_deeply($hls->{violations}, [], "$name: HLS keeps all rules");
    is_deeply($dash->{violations}, [], "$name: DASH keeps all rules");
    cmp_ok($hls->{counts}{parts}, '>=', 30, "$name: parts were looked at");

    my $mpd = Test::Live::MPD->parse($t->get("/$name/manifest.mpd")->{body});

    is(scalar @{ $mpd->{periods} }, 4, "$name: periods of the manifest");
}


# --- others -------------------------------------------------------------------

# Rungs are made of a slate as of any source.
sub test_low {
    my ($app) = @_;

    my $low = Test::Live::Served->new($t, "/$app/both", 'low');

    is_deeply($low->{errors}, [], "$app: a rung: HLS and CMAF");
    is(scalar @{ $low->{groups} }, 4, "$app: a rung: has the slates, too");

    my ($md5, $complaint) = $low->frames();

    is($complaint, '', "$app: a rung: decodes");

    for my $n (1, 3) {
        my @middle = pixels($low->{groups}[$n]{bytes}, 'iw/2-4', 'ih/2-4');

        cmp_ok(scalar @middle, '>=', 30, "$app: a rung: pictures of slate $n");
        is_deeply([ grep { !alike($_, [ 255, 0, 0 ]) } @middle ], [],
                  "$app: a rung: are what the file has");
    }
}


sub test_ts {
    my $p = playlist('/picture/both/ts');
    my ($slate) = grep { $_->{dsn} == 1 } @{ $p->{segments} };
    my $r = $t->get("/picture/both/ts/$slate->{uri}");

    is($r->{status}, 200, 'MPEG-TS of a slate');

    my @middle = pixels($r->{body}, 'iw/2-4', 'ih/2-4');

    cmp_ok(scalar @middle, '>=', 15, 'has pictures');
    is_deeply([ grep { !alike($_, [ 255, 0, 0 ]) } @middle ], [],
              'and they are right');
}


# "slate off" leaves the time as it is.
sub test_none {
    my $p = playlist('/none/both/source');

    is(scalar(grep { $_->{discontinuity} } @{ $p->{segments} }), 1,
       'slate off: just the publisher that comes back');
}


# One file is prepared once for all streams that are alike.
sub test_log {
    my @made = $t->log(qr/a slate was made of/);

    is(scalar(grep { /red\.png.*for 320x180, 48000Hz/ } @made), 1,
       'streams that are alike share a slate');
    is(scalar(grep { /red\.png/ } @made), 3, 'others have their own');
    is(scalar(() = $t->log(qr/no slate can be made/)), 0, 'all could be made');
}


# --- tools --------------------------------------------------------------------

sub make {
    my ($name, @arguments) = @_;

    my ($code, $output) = $t->command(
        qw/ ffmpeg -nostdin -y -loglevel error -f lavfi /, @arguments,
        $t->dir() . "/$name");

    die "cannot make $name: $output\n" if $code;
}


sub playlist {
    my ($base) = @_;

    return Test::Live::M3U8->parse($t->get("$base/playlist.m3u8")->{body});
}


# The colour of each picture at a place.
sub pixels {
    my ($bytes, $x, $y) = @_;

    my $raw = decode($bytes, qw/ -map 0:v:0 -fps_mode passthrough -vf /,
                     "crop=8:8:$x:$y,scale=1:1:flags=area,format=rgb24",
                     qw/ -f rawvideo /);

    return map { [ unpack 'C3', $_ ] } $raw =~ /(.{3})/gs;
}


sub alike {
    my ($got, $want) = @_;

    return !grep { abs($got->[$_] - $want->[$_]) > 40 } 0 .. 2;
}


# The mean of 16-bit samples.
sub loudness {
    my ($bytes) = @_;

    my @samples = unpack 's<*', decode($bytes, qw/ -map 0:a:0 -ac 1 -ar 8000
                                                  -f s16le /);

    return @samples ? sum0(map { abs } @samples) / @samples : -1;
}


sub decode {
    my ($bytes, @arguments) = @_;

    my $in = $t->write_file('decode.in', $bytes);
    my $out = $t->dir() . '/decode.out';

    my ($code, $output) = $t->command(
        qw/ ffmpeg -nostdin -y -loglevel error -threads 1 -i /, $in,
        @arguments, $out);

    is("$code$output", '0', 'ffmpeg decodes it') if $code || $output ne '';

    return $t->read_file('decode.out');
}
