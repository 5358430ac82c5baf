#!/usr/bin/env perl

# asan
#
# What is made on demand in the thread pool: segments in MPEG-TS (HLS-83 to
# HLS-87, CMAF-54 to CMAF-59), made once, by whatever worker, with the frames
# and times of CMAF; and thumbnails.

use strict;
use warnings;

use List::Util qw/ max min /;
use Test::Live;
use Test::Live::M3U8;
use Test::Live::MP4;
use Test::Live::TS qw/ join_errors after /;
use Test::More;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }

thread_pool live threads=2;

live {
    zone 64m;
    thread_pool live;

    application live {
        segment 2s max=4s;
        window 60s;
        resume 10s;
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


# --- thread_pool --------------------------------------------------------------

sub refused {
    my ($name, $pools, $live, $pattern) = @_;

    my ($code, $output) = $t->nginx_t("%%TEST_GLOBALS%%\nevents { }\n$pools\n"
        . "live {\nzone 8m;\n$live\n}\n");

    ok($code, "refused: $name") or return;
    like($output, $pattern, "$name: the message says what and where");
}


sub accepted {
    my ($name, $text) = @_;

    my ($code, $output) = $t->nginx_t("%%TEST_GLOBALS%%\nevents { }\n$text\n");

    is($code, 0, "accepted: $name") or diag($output);
}

accepted('a pool that is declared before',
         "thread_pool a threads=2;\nlive { zone 8m; thread_pool a; }");
accepted('a pool that is declared behind',
         "live { zone 8m; thread_pool a; }\nthread_pool a threads=2;");
accepted('nginx\'s default pool by its name',
         'live { zone 8m; thread_pool default; }');
refused('a pool that is not there', '', 'thread_pool none;',
        qr/unknown thread pool "none" in \S*nginx_t\.conf:\d+/);
refused('two pools', 'thread_pool a threads=1;',
        "thread_pool a;\nthread_pool a;",
        qr/"thread_pool" directive is duplicate in \S*nginx_t\.conf:\d+/);
refused('a pool in an application', 'thread_pool a threads=1;',
        'application x { thread_pool a; }',
        qr/"thread_pool" directive is not allowed here/);


# --- helpers ------------------------------------------------------------------

sub playlist {
    my ($path) = @_;

    my $response = $t->get("/live/$path");

    return $response->{status} == 200
           ? Test::Live::M3U8->parse($response->{body}) : { segments => [] };
}


# The segments of a stream in MPEG-TS, once there are so many.
sub listed {
    my ($stream, $n) = @_;

    my $list;

    $t->wait_for(sub {
        $list = playlist("$stream/ts/playlist.m3u8");
        return @{ $list->{segments} } >= $n;
    }, 60, "$n segments of $stream") or return;

    return @{ $list->{segments} }[0 .. $n - 1];
}


# All answers to as many requests at once: each on a connection of its own,
# and so to both workers.
sub at_once {
    my ($path, $n) = @_;

    my $port = $t->port(8080);
    my @sockets = map {
        IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port", Timeout => 5)
            or die "no connection: $!"
    } 1 .. $n;

    print $_ "GET $path HTTP/1.0\r\n\r\n" for @sockets;

    return map {
        my $answer = do { local $/; alarm 60; my $a = readline $_; alarm 0; $a };

        Test::Live::response($answer, 'GET');
    } @sockets;
}


sub check_segments {
    my ($name, @segments) = @_;

    my ($before, @all);

    for my $segment (@segments) {
        my $ts = Test::Live::TS->segment($segment->{data});

        is_deeply($ts->{errors}, [], "$name: segment $segment->{msn} keeps " .
                                     'the rules');
        is_deeply([ map { "$_ $ts->{pids}{$_}{first_cc} " .
                          $ts->{pids}{$_}{last_cc} } keys %{ $ts->{pids} } ],
                  [ map { "$_ 0 15" } keys %{ $ts->{pids} } ],
                  'all counters go from 0 to 15');

        is_deeply([ join_errors($before, $ts) ], [], 'it follows on')
            if $before;

        push @all, $before = $ts;
    }

    return @all;
}


sub fetch {
    my ($stream, $n) = @_;

    my @segments = listed($stream, $n);

    for my $segment (@segments) {
        my $response = $t->get("/live/$stream/ts/$segment->{uri}");

        is($response->{status}, 200, "$stream: segment $segment->{msn}");
        $segment->{data} = $response->{body};
    }

    return @segments;
}


# Each picture and each frame of audio, with its time at 90 kHz, in CMAF.
sub samples {
    my ($stream, $rendition, $n) = @_;

    my @found;
    my @segments = @{ playlist("$stream/$rendition/playlist.m3u8")
                      ->{segments} };

    for my $segment (@segments[0 .. $n - 1]) {
        my $init = Test::Live::MP4->init(
            $t->get("/live/$stream/$rendition/$segment->{map}")->{body});
        my $media = Test::Live::MP4->segment(
            $t->get("/live/$stream/$rendition/$segment->{uri}")->{body});

        push @found, map { {
            time => ($_->{dts} + $_->{cts}) * 90000 / $init->{timescale},
            data => $_->{data}
        } } @{ $media->{samples} };
    }

    return @found;
}


# --- MPEG-TS ------------------------------------------------------------------

$t->run();

$t->ffmpeg_publish('live/both', clip => { bframes => 3, seconds => 20 });
$t->ffmpeg_publish('live/slow', clip => { fps => 5, gop => 10, rate => 44100,
                                          seconds => 20 });
$t->ffmpeg_publish('live/audio', clip => { video => 0, seconds => 20 });

my ($first) = listed('both', 1);
my @answers = at_once("/live/both/ts/$first->{uri}", 12);

is(scalar(grep { $_->{status} == 200 } @answers), 12,
   'twelve who ask at once get a segment that is not made yet');
is(scalar(grep { $_->{body} eq $answers[0]{body} } @answers), 12,
   'it is the same for all');
is($answers[0]{headers}{'content-type'}, 'video/mp2t', 'it is MPEG-TS');

my $N = 5;
my @both = fetch('both', $N);
my @ts = check_segments('both', @both);

is($both[0]{data}, $answers[0]{body}, 'it stays the same');

my @pictures = map { @{ $_->{video}{pes} } } @ts;
my @expected = samples('both', 'source', $N);

is(scalar @pictures, scalar @expected, 'all pictures are there');
is(scalar(grep { $pictures[$_]{pts} != $expected[$_]{time} }
          0 .. min($#pictures, $#expected)), 0,
   'they are presented at the times of CMAF');
ok((grep { after($_->{dts}, $_->{pts}) } @pictures) > 10
   && (grep { $pictures[$_]{pts} < $pictures[$_ - 1]{pts} } 1 .. $#pictures),
   'pictures are reordered');

my @audio = map { my $pes = $_; map { $_ } @{ $pes->{frames} } }
            map { @{ $_->{audio}{pes} } } @ts;

@expected = samples('both', 'audio', $N);

is(scalar @audio, scalar @expected, 'all audio is there');
is(scalar(grep { substr($audio[$_], 7) ne $expected[$_]{data} }
          0 .. min($#audio, $#expected)), 0, 'it is the audio of CMAF');

my $number = 0;
my $late = 0;

for my $pes (map { @{ $_->{audio}{pes} } } @ts) {
    my $time = $expected[$number] ? $expected[$number]{time} : 0;

    $late = max($late, abs($pes->{pts} - $time));
    $number += @{ $pes->{frames} };
}

cmp_ok($late, '<=', 1, 'at its times, to a tick of 90 kHz');

check_segments('slow', fetch('slow', 4));

my ($audio) = check_segments('audio', fetch('audio', 4));

ok(!$audio->{video} && $audio->{audio}, 'audio alone is audio alone');

# what a demuxer of others says of it

$t->write_file('all.ts', join '', map { $_->{data} } @both);

my ($code, $output) = $t->command(qw/ ffmpeg -nostdin -v warning -i /,
                                  $t->dir() . '/all.ts',
                                  qw/ -c copy -f null - /);

is($code, 0, 'ffmpeg reads it');
is($output, '', 'and has nothing to say');


# --- the checker can fail -----------------------------------------------------

sub spoiled {
    my ($name, $rule, $change) = @_;

    my $data = $both[1]{data};

    $change->(\$data);

    my $errors = Test::Live::TS->segment($data)->{errors};

    ok((grep { /^\Q$rule\E:/ } @$errors), "the checker finds $name")
        or diag(join "\n", @$errors);
}

spoiled('a packet that is missing', 'CMAF-54',
        sub { substr ${ $_[0] }, 188 * 40, 188, '' });
spoiled('tables that are late', 'CMAF-55',
        sub { ${ $_[0] } = substr(${ $_[0] }, 376) });
spoiled('a table that is damaged', 'HLS-83',
        sub { vec(${ $_[0] }, 188 + 20, 8) ^= 1 });
spoiled('a PCR of its own', 'CMAF-56',
        sub { vec(${ $_[0] }, 376 + 8, 8) ^= 0x10 });
spoiled('no random access', 'CMAF-55',
        sub { vec(${ $_[0] }, 376 + 5, 8) ^= 0x40 });
spoiled('padding that is none', 'CMAF-58',
        sub { substr ${ $_[0] }, -188 + 20, 1, 'x' });

ok(scalar join_errors($ts[0], $ts[2]), 'the checker finds a missing segment');


# --- thumbnails ---------------------------------------------------------------

sub jpeg_size {
    my ($data) = @_;

    my ($height, $width) =
        $data =~ /\A\xff\xd8.*?\xff\xc0\x00\x11\x08(..)(..)/s or return '';

    return unpack('n', $width) . 'x' . unpack('n', $height);
}

for my $case ([ '', '320x180' ], [ '?w=160', '160x90' ],
              [ '?w=1920', '320x180' ], [ '?w=32', '32x18' ])
{
    my ($query, $size) = @$case;
    my $response = $t->get("/live/both/thumbnail.jpg$query");

    is($response->{status}, 200, "a thumbnail: $query");
    is($response->{headers}{'content-type'}, 'image/jpeg', 'it is JPEG');
    is(jpeg_size($response->{body}), $size, "of $size");
}

is($t->get('/live/both/thumbnail.jpg?w=31')->{status}, 400,
   'a width that is too small');
is($t->get('/live/audio/thumbnail.jpg')->{status}, 404,
   'there is none of audio');

my @pictures_at_once = at_once('/live/slow/thumbnail.jpg?w=100', 12);

is(scalar(grep { $_->{status} == 200
                 && jpeg_size($_->{body}) eq '100x56' } @pictures_at_once),
   12, 'twelve who ask at once for a thumbnail get it');

my $old = $t->get('/live/both/thumbnail.jpg?w=160')->{body};

ok($t->wait_for(sub {
       $t->get('/live/both/thumbnail.jpg?w=160')->{body} ne $old
   }, 20, 'newer thumbnail'), 'a newer key frame gives a newer thumbnail');


# --- a reload -----------------------------------------------------------------

my @before = listed('both', 7);

$t->reload();

for my $n (0, 5, 6) {
    my $response = $t->get("/live/both/ts/$before[$n]{uri}");

    is($response->{status}, 200, 'after a reload, segment ' . ($n + 1));
    is($response->{body}, $both[$n]{data}, 'it is as before') if $n < $N;
}

done_testing();
