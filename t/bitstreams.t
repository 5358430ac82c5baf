#!/usr/bin/env perl

# H.264 as encoders write it, and as they should not: the served CMAF decodes
# to the pictures of the clip that was published, and an interruption is
# announced where the codec record changes and nowhere else (RTMP-74, RTMP-83,
# RTMP-85, RTMP-86, HLS-19, HLS-24, CMAF-33).

# asan

use strict;
use warnings;

use Test::Live;
use Test::Live::RTMP;
use Test::Live::Served;
use Test::More;

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
worker_processes 2;
events { }

live {
    zone 256m;
    resume 1s;
    window 300s;

    application live { segment 1s max=3s; }
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

my ($AUDIO, $VIDEO) = (8, 9);
my ($SLICE, $SEI, $SPS, $PPS, $FILLER) = (1, 6, 7, 8, 12);

# What is not said is said here; x264 is added to these parameters.
my %usual = (size => '160x90', seconds => 3, fps => 25, audio => 0);
my $params = 'keyint=25:min-keyint=25:scenecut=0';

my $plain = clip('bframes=2');
my $other = clip('bframes=2', size => '192x108');
my $sliced = clip('bframes=0:slice-max-size=180');
my $sound = $t->clip(%usual, gop => 25, audio => 1);

# name => [ clip, edit, options ]; a list of clips is published one after the
# other.  Options: discontinuities (0), resolution, chunk (bytes), forced.
my %cases = (
    'cavlc'          => [ clip('cabac=0') ],
    'baseline'       => [ clip('bframes=0', extra => [ '-profile:v',
                                                       'baseline' ]) ],
    'lossless'       => [ clip('qp=0', extra => [ '-qp', 0 ]) ],
    'b-frames 1'     => [ clip('bframes=1:b-adapt=0') ],
    'b-frames 3'     => [ clip('bframes=3:b-adapt=0:b-pyramid=none') ],
    'b-pyramid'      => [ clip('bframes=5:b-adapt=0:b-pyramid=normal') ],
    'b-frames 16'    => [ clip('bframes=16:b-adapt=0:b-pyramid=normal:ref=16') ],
    'open gop'       => [ clip('bframes=3:b-adapt=0:open-gop=1'), undef,
                          forced => 1 ],
    'refresh'        => [ clip('intra-refresh=1'), undef, forced => 1 ],
    'top field'      => [ clip('tff=1:bframes=2', size => '160x96') ],
    'bottom field'   => [ clip('bff=1:bframes=2', size => '160x96') ],
    'fake fields'    => [ clip('fake-interlaced=1', size => '160x96') ],
    'slices'         => [ clip('slices=4') ],
    'small slices'   => [ $sliced ],
    'aud'            => [ clip('aud=1') ],
    'filler'         => [ clip('nal-hrd=cbr:vbv-maxrate=400:vbv-bufsize=400'
                               . ':bitrate=400:filler=1') ],
    'high 10'        => [ clip('', extra => [ '-pix_fmt', 'yuv420p10le' ]) ],
    'high 422'       => [ clip('', extra => [ '-pix_fmt', 'yuv422p' ]) ],
    'high 444'       => [ clip('', extra => [ '-pix_fmt', 'yuv444p', '-vf',
                                            'scale=161:91,setsar=1' ]), undef,
                          resolution => '161x91' ],
    'monochrome'     => [ clip('', extra => [ '-pix_fmt', 'gray' ]) ],
    'crop'           => [ clip('', size => '146x74'), undef,
                          resolution => '146x74' ],
    'more crop'      => [ filtered('crop_left=4:crop_top=2:crop_bottom=6'),
                          undef, resolution => '156x88' ],
    'wide pixels'    => [ filtered('sample_aspect_ratio=64/45') ],
    'odd pixels'     => [ filtered('sample_aspect_ratio=997/999') ],
    'fast ticks'     => [ filtered('tick_rate=4294967295') ],
    'slow ticks'     => [ filtered('tick_rate=1/4294967295') ],
    'wrong ticks'    => [ filtered('tick_rate=24') ],
    'colours'        => [ filtered('colour_primaries=9'
                                   . ':transfer_characteristics=16'
                                   . ':matrix_coefficients=9'
                                   . ':video_full_range_flag=1') ],
    'level 6.2'      => [ filtered('level=6.2') ],
    'level 1'        => [ filtered('level=1') ],

    'in-band parameter sets' => [ $plain, sub {
        units($_[0], sub { my ($units, $key, $sets) = @_;
                           return $key ? (@$sets, @$units) : @$units });
    } ],
    'sei flood'      => [ $plain, sub {
        units($_[0], sub { return ((map { sei(100) } 1 .. 300), @{ $_[0] }) });
    } ],
    'large sei'      => [ $plain, sub {
        units($_[0], sub { return (sei($_[1] ? 70_000 : 1), @{ $_[0] }) });
    } ],
    'filler units'   => [ $plain, sub {
        units($_[0], sub {
            return map { ($_, chr($FILLER) . "\xff" x 500 . "\x80") }
                   @{ $_[0] };
        });
    } ],
    'empty units'    => [ $plain, sub {
        units($_[0], sub { return ('', map { ($_, '') } @{ $_[0] }) });
    } ],
    'empty units in small chunks' => [ $plain, sub {
        units($_[0], sub { return ('', '', map { ($_, '') } @{ $_[0] }) });
    }, chunk => 3 ],
    'small slices in small chunks' => [ $sliced, undef, chunk => 5 ],
    'unknown units'  => [ $plain, sub {
        units($_[0], sub { return ("\x1e\1\2\3", "\x6e\xc0\0", @{ $_[0] },
                                   "\x1f\x80") });
    } ],
    'zeros behind'   => [ $plain, sub {
        units($_[0], sub { return map { "$_\0\0\0" } @{ $_[0] } });
    } ],
    'nothing but empty units' => [ $plain, \&emptied ],
    'length size 2'  => [ $plain, sub { sized($_[0], 2) } ],
    'length size 1'  => [ $sliced, sub { sized($_[0], 1) } ],
    'empty units, length size 1' => [ $sliced, sub {
        sized([ units($_[0], sub { return ('', map { ($_, '') } @{ $_[0] })
                                 }) ], 1);
    } ],

    'header repeated' => [ $sound, \&repeated ],
    'more sets'      => [ $plain, sub {
        record($_[0], sub { my ($head, $sps, $pps) = @_;
                            return $head . "\xe2" . set($sps) x 2 . "\2"
                                   . set($pps) x 2 });
    } ],
    'short record'   => [ $plain, sub {
        record($_[0], sub { my ($head, $sps, $pps) = @_;
                            return $head . "\xe1" . set($sps) . "\1"
                                   . set($pps) });
    } ],
    'reserved bits'  => [ $plain, sub {
        record($_[0], sub { my ($head, $sps, $pps) = @_;
                            return substr($head, 0, 4) . "\3\1" . set($sps)
                                   . "\1" . set($pps) });
    } ],
    'end and commands' => [ $plain, \&interspersed ],

    'another size'   => [ [ $plain, $other ], undef, discontinuities => 1,
                          resolution => '192x108' ],
    'another size and back' => [ [ $plain, $other, $plain ], undef,
                                 discontinuities => 2 ],
    'another level'  => [ [ $plain, filtered('level=4') ], undef,
                          discontinuities => 1 ],
    'the same again' => [ [ $plain, $plain ] ],
);

$t->run();

my %reference;

publish($_) for sort keys %cases;
test_case($_) for sort keys %cases;

done_testing();


# --- clips --------------------------------------------------------------------

# A clip of x264 with parameters; options as those of clip() of Test::Live.
sub clip {
    my ($x264, %option) = @_;

    my @extra = @{ delete $option{extra} || [] };

    $x264 = $x264 eq '' ? $params : "$params:$x264";

    return $t->clip(%usual, %option,
                    extra => [ '-x264-params', $x264, @extra ]);
}


# The plain clip with something else in its SPS.
sub filtered {
    my ($what) = @_;

    return clip('bframes=2', extra => [ '-bsf:v', "h264_metadata=$what" ]);
}


sub tags {
    my ($path) = @_;

    return [ grep { $_->{type} != 18 }
             @{ Test::Live::RTMP::flv_tags($path) } ];
}


# Of a codec record 0, of a frame 1, of an end 2.
sub kind {
    my ($tag, $kind) = @_;

    return $tag->{type} == $VIDEO
           && ord(substr $tag->{payload}, 1, 1) == $kind;
}


# --- edits --------------------------------------------------------------------

# Each frame with the NAL units that the sub makes of its own; it is called with
# these, true for a key frame, and the parameter sets.
sub units {
    my ($tags, $sub) = @_;

    my ($record) = grep { kind($_, 0) } @$tags;
    my (undef, @sets) = parameter_sets(substr $record->{payload}, 5);

    return map {
        my %tag = %$_;

        if (kind($_, 1)) {
            my ($head, $rest) = unpack 'a5 a*', $tag{payload};
            my @units = unpack '(N/a*)*', $rest;
            my $key = (ord($head) >> 4) == 1;

            $tag{payload} = $head . pack '(N/a*)*',
                                         $sub->(\@units, $key, \@sets);
        }

        \%tag;
    } @$tags;
}


# The head of a codec record, and its first parameter sets.
sub parameter_sets {
    my ($record) = @_;

    return unpack 'a5 x n/a* x n/a*', $record;
}


sub set { return pack 'n/a*', $_[0] }


# With another codec record, which the sub makes of the parts of the old one.
sub record {
    my ($tags, $sub) = @_;

    return map {
        my %tag = %$_;

        if (kind($_, 0)) {
            my ($head, $record) = unpack 'a5 a*', $tag{payload};

            $tag{payload} = $head . $sub->(parameter_sets($record));
        }

        \%tag;
    } @$tags;
}


# With lengths of 1 or 2 bytes.
sub sized {
    my ($tags, $size) = @_;

    my $pack = $size == 1 ? '(C/a*)*' : '(n/a*)*';
    my @tags = record($tags, sub {
        my ($head, $sps, $pps) = @_;

        return substr($head, 0, 4) . chr(0xfc | $size - 1) . "\xe1"
               . set($sps) . "\1" . set($pps);
    });

    for my $tag (grep { kind($_, 1) } @tags) {
        my ($head, $rest) = unpack 'a5 a*', $tag->{payload};
        my @units = unpack '(N/a*)*', $rest;

        # x264 says who it is in a unit that is too long
        @units = grep { $size == 2 || length $_ < 256 } @units;
        $tag->{payload} = $head . pack $pack, @units;
    }

    return @tags;
}


# A SEI unit of user data, without a start code in it.
sub sei {
    my ($size) = @_;

    return chr($SEI) . "\5" . "\xff" x int($size / 255) . chr($size % 255)
           . 'u' x $size . "\x80";
}


# The headers of both tracks before each key frame, and three times at first.
sub repeated {
    my ($tags) = @_;

    my @headers = grep { ord(substr $_->{payload}, 1, 1) == 0 } @$tags;

    return map {
        my $tag = $_;

        kind($tag, 1) && (ord($tag->{payload}) >> 4) == 1
        ? ((map { +{ %$_, timestamp => $tag->{timestamp} } } (@headers) x 2),
           $tag)
        : $tag;
    } @$tags;
}


# Frames of empty units alone, between the others.
sub emptied {
    my ($tags) = @_;

    return map {
        kind($_, 1) ? ({ %$_, payload => "\x27\1" . "\0" x 11 }, $_) : $_;
    } @$tags;
}


# Ends of sequences, frames that are commands, and messages with nothing in them
# do not count.
sub interspersed {
    my ($tags) = @_;

    return map {
        my $tag = $_;

        ((map { +{ type => $VIDEO, timestamp => $tag->{timestamp},
                   payload => $_ } }
          "\x17\2\0\0\0", "\x57\0", "\x27\1\0\0\0", "\x57\1\0\0\0\0"), $tag);
    } @$tags;
}


# --- publishing ---------------------------------------------------------------

sub stream {
    my ($name) = @_;

    $name =~ s/[^\w.]+/-/g;

    return $name;
}


sub clips {
    my ($name) = @_;

    my $clip = $cases{$name}[0];

    return ref $clip ? @$clip : $clip;
}


sub publish {
    my ($name) = @_;

    my (undef, $edit, %option) = @{ $cases{$name} };
    my $client = Test::Live::RTMP->start(
        port => $t->port(1935), app => 'live', name => stream($name),
        chunk_size => $option{chunk});
    my $offset = 0;

    for my $path (clips($name)) {
        my $tags = tags($path);

        $tags = [ $edit->($tags) ] if $edit;
        ok($client->send_tags($tags, $offset), "$name: published");
        $offset += 1000 * $usual{seconds};
    }

    $client->stop(stream($name));
}


# --- what is served -----------------------------------------------------------

sub test_case {
    my ($name) = @_;

    my (undef, undef, %option) = @{ $cases{$name} };
    my $track = Test::Live::Served->new($t, '/live/' . stream($name),
                                        'source', %option);

    is_deeply($track->{errors}, [], "$name: what is served keeps the rules");

    return unless $track->{playlist};

    is($track->discontinuities(), $option{discontinuities} || 0,
       "$name: interruptions (HLS-19)");

    my ($md5, $complaint) = $track->frames();
    my @source = map { @{ reference($_) } } clips($name);

    is($complaint, '', "$name: ffmpeg decodes it without an error line");
    is(scalar @$md5, scalar @source, "$name: as many pictures");
    is_deeply($md5, \@source, "$name: the same pictures");

    like($t->get('/live/' . stream($name) . '/playlist.m3u8')->{body},
         qr/,RESOLUTION=$option{resolution}\b/, "$name: RESOLUTION (HLS-34)")
        if $option{resolution};
}


sub reference {
    my ($path) = @_;

    return $reference{$path} ||= do {
        my ($complaint, @md5) = Test::Live::Served::decoded($t, $path, 'v');

        is($complaint, '', "ffmpeg decodes $path");

        \@md5;
    };
}
