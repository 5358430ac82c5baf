package Test::Live::Ladder;

# What a ladder serves: whole renditions, fetched and compared.
#
#     my $source = fetch($t, '/live/a/source');       # waits for ENDLIST
#     my $low = fetch($t, '/live/a/low');
#
#     is_deeply($low->{errors}, [], 'HLS and CMAF');
#     is_deeply([ closed_errors($low) ], [], 'each segment begins with an IDR');
#     is_deeply([ cut_errors($source, $low) ], [], 'cut where the source is');
#     is_deeply([ decode_errors($t, $low) ], [], 'decodes');
#
# A rendition: { base, playlist, errors, segments => [ { msn, dsn, pdt,
# duration, gap, discontinuity, parts, map, and where it is no gap: start, end
# (ticks), first (s, when its first sample is presented), samples, bytes } ],
# inits => { URI => Test::Live::MP4 }, timescale (of the last one) }.

use strict;
use warnings;

use Exporter qw/ import /;
use List::Util qw/ max min sum0 /;
use Test::Live;
use Test::Live::M3U8;
use Test::Live::MP4;
use Test::Live::RTMP;
use Test::Live::Steps ();

our @EXPORT = qw/
    fetch media_playlist cut_errors closed_errors decode_errors pictures
    nal_types pace publisher samples presented flashes beeps send_whole variants
/;


# How long segments are, s.
our $segment = 2;


# --- playlists ----------------------------------------------------------------

# The playlist, or undef; options as those of Test::Live's get().
sub media_playlist {
    my ($t, $base, %option) = @_;

    my $r = $t->get("$base/playlist.m3u8", %option);

    return $r->{status} == 200 ? Test::Live::M3U8->parse($r->{body}) : undef;
}


# The variants of a stream by their rendition's name; options as those of
# Test::Live's get().
sub variants {
    my ($t, $stream, %option) = @_;

    my $r = $t->get("$stream/playlist.m3u8", %option);

    return {} unless $r->{status} == 200;

    my $p = Test::Live::M3U8->parse($r->{body});

    return { map { $_->{uri} =~ m{^(.*)/playlist\.m3u8$} ? ($1 => $_) : () }
             @{ $p->{variants} } };
}


# --- fetching -----------------------------------------------------------------

# until: a sub that gets the playlist, instead of waiting for ENDLIST;
# seconds: how long that may take.
sub fetch {
    my ($t, $base, %option) = @_;

    my $until = $option{until} || sub { $_[0]{endlist} };
    my $playlist;

    $t->wait_for(sub {
        $playlist = media_playlist($t, $base) or return 0;
        return $until->($playlist);
    }, $option{seconds} || 30, "playlist of $base to wait for")
        or return { base => $base, errors => [ "no playlist of $base" ],
                    segments => [], inits => {}, playlist => $playlist };

    my $self = { base => $base, playlist => $playlist, inits => {},
                 errors => [ @{ $playlist->{errors} } ], segments => [] };
    my $before;

    for my $listed (@{ $playlist->{segments} }) {
        my $segment = fetch_segment($t, $self, $listed);

        push @{ $self->{segments} }, $segment;

        if ($segment->{gap} || !$segment->{mp4}) {
            $before = undef;
            next;
        }

        push @{ $self->{errors} },
             Test::Live::MP4::join_errors($before, $segment->{mp4})
            if $before && !$segment->{discontinuity};

        $before = $segment->{mp4};
    }

    return $self;
}


sub fetch_segment {
    my ($t, $self, $listed) = @_;

    my %segment = map { $_ => $listed->{$_} }
                  qw/ msn dsn pdt duration gap discontinuity parts map uri /;

    my $r = $t->get("$self->{base}/$listed->{uri}");

    if ($listed->{gap}) {
        push @{ $self->{errors} }, "a GAP answers $r->{status}"
            if $r->{status} != 404;
        return \%segment;
    }

    if ($r->{status} != 200) {
        push @{ $self->{errors} }, "$listed->{uri}: $r->{status}";
        return \%segment;
    }

    my $init = fetch_init($t, $self, $listed->{map});
    my $mp4 = Test::Live::MP4->segment($r->{body});

    push @{ $self->{errors} }, map { "$listed->{uri}: $_" }
                               @{ $mp4->{errors} };

    my $scale = $self->{timescale} = $init->{timescale} || 1;
    my ($first) = sort { $a <=> $b }
                  map { $_->{dts} + $_->{cts} } @{ $mp4->{samples} };

    return { %segment, mp4 => $mp4, bytes => $r->{body},
             samples => $mp4->{samples}, timescale => $scale,
             start => $mp4->{start}, end => $mp4->{end},
             first => ($first // 0) / $scale };
}


sub fetch_init {
    my ($t, $self, $uri) = @_;

    return $self->{inits}{$uri} if $self->{inits}{$uri};

    my $r = $t->get("$self->{base}/$uri");
    my $init = Test::Live::MP4->init($r->{body});

    push @{ $self->{errors} }, "$uri: $r->{status}" if $r->{status} != 200;
    push @{ $self->{errors} }, @{ $init->{errors} };
    $init->{bytes} = $r->{body};

    return $self->{inits}{$uri} = $init;
}


# --- comparing ----------------------------------------------------------------

# What is not cut alike in two renditions, of the segments that both list:
# numbers, times, parts (HLS-46).  Of video both, all is the same to a tick;
# audio is cut at its first frame at or behind the boundary, by slack seconds
# at most.  parts => 0 leaves them out, where the frame rates differ.
sub cut_errors {
    my ($one, $two, %option) = @_;

    my $slack = $option{slack} || 0;
    my %two = map { $_->{msn} => $_ } @{ $two->{segments} };
    my ($n, @errors) = (0);

    for my $a (@{ $one->{segments} }) {
        my $b = $two{ $a->{msn} } or next;

        $n++;
        push @errors, segment_errors($a, $b, $slack);
        push @errors, part_errors($a, $b, $slack)
            if $option{parts} // 1;
    }

    push @errors, "$n segments in common" if $n < ($option{least} // 2);

    return map { "$two->{base}: $_" } @errors;
}


sub segment_errors {
    my ($a, $b, $slack) = @_;

    my @errors;
    my $name = "segment $a->{msn}";

    push @errors, "$name: discontinuity number $a->{dsn}, $b->{dsn}"
        if $a->{dsn} != $b->{dsn};

    push @errors, sprintf('%s: lasts %s, %s', $name, $a->{duration},
                          $b->{duration})
        if abs($a->{duration} - $b->{duration}) > 2 * $slack + 0.0015;

    push @errors, sprintf('%s: dated %.3f, %.3f', $name, $a->{pdt}, $b->{pdt})
        if defined $a->{pdt} && defined $b->{pdt}
           && abs($a->{pdt} - $b->{pdt}) > $slack + 0.0015;

    return @errors if !$a->{samples} || !$b->{samples};

    my ($x, $y) = map { $_->{start} / $_->{timescale} } $a, $b;

    push @errors, sprintf('%s: tfdt %.5f, %.5f', $name, $x, $y)
        if abs($x - $y) > $slack + 1e-9;
    push @errors, sprintf('%s: presented from %.5f, %.5f', $name,
                          $a->{first}, $b->{first})
        if abs($a->{first} - $b->{first}) > $slack + 1e-9;

    return @errors;
}


sub part_errors {
    my ($a, $b, $slack) = @_;

    my ($x, $y) = map { [ map { $_->{DURATION} } @{ $_->{parts} } ] } $a, $b;

    # parts of older segments are not listed any more, nor of gaps
    return () if !@$x || !@$y || $a->{gap} || $b->{gap};

    return "segment $a->{msn}: parts of @$x, and of @$y"
        if @$x != @$y
           || grep { abs($x->[$_] - $y->[$_]) > 2 * $slack + 0.0015 } 0 .. $#$x;

    return ();
}


sub samples {
    my ($r) = @_;

    return map { @{ $_->{samples} || [] } } @{ $r->{segments} };
}


# The times at which its samples are presented, s, in order.
sub presented {
    my ($r) = @_;

    return map { $_ / $r->{timescale} } sort { $a <=> $b }
           map { $_->{dts} + $_->{cts} } samples($r);
}


# The types of the NAL units of a sample of H.264.
sub nal_types {
    my ($data) = @_;

    my @types;
    my $pos = 0;

    while ($pos + 5 <= length $data) {
        push @types, ord(substr $data, $pos + 4, 1) & 31;
        $pos += 4 + unpack 'N', substr $data, $pos, 4;
    }

    return @types;
}


# Each segment begins with an IDR picture, has no other key frame (but with
# keys => 1), and nothing of it is presented before its start or behind the
# next one's.
sub closed_errors {
    my ($r, %option) = @_;

    my @errors;

    for my $s (grep { $_->{samples} } @{ $r->{segments} }) {
        my ($first, @rest) = @{ $s->{samples} };
        my $name = "$r->{base}: segment $s->{msn}";

        push @errors, "$name does not begin with an IDR picture"
            unless grep { $_ == 5 } nal_types($first->{data});

        my @keys = grep { my $x = $_;
                          $x->{sync} || grep { $_ == 5 } nal_types($x->{data})
                        } @rest;

        push @errors, "$name has " . @keys . ' more key frames'
            if @keys && !$option{keys};

        push @errors, "$name is open"
            if grep { $_->{dts} + $_->{cts} < $s->{start}
                      || $_->{dts} + $_->{cts} >= $s->{end} }
               @{ $s->{samples} };
    }

    return @errors;
}


# --- decoding -----------------------------------------------------------------

# A file for each init segment: [ { path, samples } ].
sub files {
    my ($t, $r) = @_;

    my @files;

    for my $s (grep { $_->{samples} } @{ $r->{segments} }) {
        if (!@files || $files[-1]{map} ne $s->{map}) {
            push @files, { map => $s->{map}, samples => [],
                           bytes => $r->{inits}{ $s->{map} }{bytes} };
        }

        $files[-1]{bytes} .= $s->{bytes};
        push @{ $files[-1]{samples} }, @{ $s->{samples} };
    }

    for my $file (@files) {
        $file->{path} = $t->write_file('ladder.' . ++$t->{ladders} . '.mp4',
                                       delete $file->{bytes});
    }

    return @files;
}


# What ffmpeg has to say about a rendition, and a number of frames that is not
# that of its samples.
sub decode_errors {
    my ($t, $r) = @_;

    my @errors;

    for my $file (files($t, $r)) {
        my ($code, $output) = $t->command(
            qw/ ffmpeg -nostdin -v warning -err_detect explode -i /,
            $file->{path}, qw/ -fps_mode passthrough -enc_time_base -1
                               -f null - /);

        push @errors, "exit code $code" if $code;
        push @errors, split /\n/, $output;

        push @errors, map { "$r->{base}: $_" }
                      packet_errors($t, $file, scalar @{ $file->{samples} });
        unlink $file->{path};
    }

    push @errors, "$r->{base} has no media" unless samples($r);

    return @errors;
}


sub packet_errors {
    my ($t, $file, $n) = @_;

    my ($code, $output) = $t->command(
        qw/ ffprobe -v error -count_frames -show_entries
            stream=nb_read_frames -of csv=p=0 /, $file->{path});

    my ($frames) = $output =~ /^(\d+)/;

    return ($frames || 0) == $n ? () : "$n samples make $output";
}


# The decoded pictures of video, small and grey: [ { time (s), bytes } ].
sub pictures {
    my ($t, $r, $width, $height) = @_;

    my @pictures;

    for my $file (files($t, $r)) {
        my $raw = "$file->{path}.raw";

        $t->command(qw/ ffmpeg -nostdin -v error -i /, $file->{path},
                    '-vf', "scale=$width:$height:flags=area,format=gray",
                    qw/ -fps_mode passthrough -f rawvideo /, $raw);

        my $bytes = $t->read_file($raw) // '';
        my @times = sort { $a <=> $b } map { $_->{dts} + $_->{cts} }
                    @{ $file->{samples} };

        push @pictures, map { +{ time => $times[$_] / $r->{timescale},
                                 bytes => substr $bytes,
                                          $_ * $width * $height,
                                          $width * $height } }
                        0 .. min($#times, length($bytes) / $width / $height
                                          - 1);
        unlink $raw, $file->{path};
    }

    return @pictures;
}


# When a black picture becomes white, s.
sub flashes {
    my ($t, $r) = @_;

    my $white = 0;
    my @times;

    for my $p (pictures($t, $r, 1, 1)) {
        my $is = ord($p->{bytes}) > 128;

        push @times, $p->{time} if $is && !$white;
        $white = $is;
    }

    return @times;
}


# When silence of at least half a second ends, s.
sub beeps {
    my ($t, $r) = @_;

    my @times;

    for my $file (files($t, $r)) {
        my $raw = "$file->{path}.raw";

        $t->command(qw/ ffmpeg -nostdin -v error -i /, $file->{path},
                    qw/ -ac 1 -f f32le /, $raw);

        my $rate = $r->{timescale};
        my $start = $file->{samples}[0]{dts} / $rate;
        my $quiet = $rate;
        my $n = 0;

        for my $x (unpack 'f<*', $t->read_file($raw) // '') {
            if (abs $x > 0.2) {
                push @times, $start + $n / $rate if $quiet > $rate / 2;
                $quiet = 0;
            }

            $quiet++;
            $n++;
        }

        unlink $raw, $file->{path};
    }

    return @times;
}


# --- publishing ---------------------------------------------------------------

# Sends the frames before that time of a Test::Live::Steps, a quarter of a
# second at a time, each when the renditions have come so near that nothing is
# shed: encoders hold some frames back, and parts have to be full.  False when
# they do not come in time.
sub pace {
    my ($p, $ms, @renditions) = @_;

    while ($p->{at} < $ms) {
        $p->upto(min($ms, $p->{at} + 250));

        unless ($p->{announced}) {
            $p->{announced} = announced($p, @renditions) or return 0;
        }

        my $least = $p->{at} / 1000 - 1.25;

        next if $least <= $p->{begins};

        for my $rendition (@renditions) {
            $p->{t}->wait_for(sub { reached($p, $rendition) >= $least }, 10,
                              "progress of $rendition at $p->{at} ms")
                or return 0;
        }
    }

    return 1;
}


# The rungs are known a moment after the first frame, and begin with the next
# segment then.
sub announced {
    my ($p, @renditions) = @_;

    return $p->{t}->wait_for(sub {
        my $variants = variants($p->{t}, "/$p->{url}", timeout => 0.1);

        $p->further(40) if $p->{at} < 1000 * $p->{begins} - 200;

        return !grep { !$variants->{$_} } @renditions;
    }, 15, "multivariant playlist of $p->{url} with @renditions");
}


# Where what is listed ends, s from where this publisher began.  A request
# for a rung that has nothing yet is held.
sub reached {
    my ($p, $rendition) = @_;

    my $playlist = media_playlist($p->{t}, "/$p->{url}/$rendition",
                                  timeout => 0.5);
    my @segments = $playlist ? @{ $playlist->{segments} } : ();
    my $open = $playlist ? $playlist->{open} : { parts => [] };

    push @segments, { %$open, duration => sum0(map { $_->{DURATION} }
                                               @{ $open->{parts} }) }
        if @{ $open->{parts} };

    return $p->{begins} if !@segments || $segments[-1]{msn} < $p->{msn};

    my ($first) = grep { $_->{msn} >= $p->{msn} } @segments;

    $p->{origin} //= $first->{pdt} - $p->{begins};

    return $segments[-1]{pdt} + $segments[-1]{duration} - $p->{origin};
}


# A Test::Live::Steps that pace() understands, also where the stream had
# another publisher before.
sub publisher {
    my ($t, $url, $tags) = @_;

    my $before = media_playlist($t, "/$url/source", timeout => 0.5);
    my $p = Test::Live::Steps->publish($t, $url, tags => $tags);

    $p->{begins} = $segment;
    $p->{msn} = ($before ? $before->last_msn() : 0) + 2;

    return $p;
}


# ms of the last tag in time, which need not be the last one.
sub last_time {
    my ($tags) = @_;

    return max map { $_->{timestamp} } @$tags;
}


# Publishes all of a clip's tags at a pace, and ends.
sub send_whole {
    my ($t, $url, $tags, @renditions) = @_;

    my $p = publisher($t, $url, $tags);
    my $ok = pace($p, last_time($tags) + 1, @renditions);

    $p->stop();

    return $ok;
}


1;
