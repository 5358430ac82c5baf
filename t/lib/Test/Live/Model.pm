package Test::Live::Model;

# A stream that keeps all rules, made of nothing: what a crawl of it would
# have got (see Test::Live::Check::HLS), for tests of the checks.
#
#     my $crawl = Test::Live::Model->crawl();
#     my $crawl = Test::Live::Model->dash(grid => 1);
#
# Two renditions, source (video, 30 frames a second) and audio (50 frames a
# second), 24 segments of 2 s from MSN 100 on, parts of 500 ms, a window of 10
# segments, a discontinuity with a new init segment at MSN 108, and an end.

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use POSIX qw/ strftime /;

our ($FIRST, $SEGMENTS, $PARTS, $WINDOW, $CHANGE) = (100, 24, 4, 10, 108);

our $EPOCH = 1_700_000_000;     # Unix time of the first sample

my %tracks = (
    source => { scale => 90000, frames => 15, ticks => 3000,
                handler => 'vide' },
    audio  => { scale => 48000, frames => 25, ticks => 960,
                handler => 'soun' },
);

my $media = { 'cache-control' => 'public, max-age=31536000, immutable',
              'accept-ranges' => 'bytes' };


sub crawl {
    my $crawl = { playlists => {}, files => {}, multivariant => [] };

    push @{ $crawl->{multivariant} },
         answer(body => multivariant(), started => $EPOCH + 2,
                headers => { 'cache-control' => 'public, max-age=2' });

    for my $name (sort keys %tracks) {
        playlists($crawl, $name);
        files($crawl, $name);
    }

    return $crawl;
}


sub answer {
    my (%r) = @_;

    my %headers = (
        'content-type' => 'application/vnd.apple.mpegurl',
        'access-control-allow-origin' => '*',
        'access-control-expose-headers' => 'Age, Date, ETag',
        etag => '"' . md5_hex($r{body} // '') . '"',
        'content-length' => length($r{body} // ''),
        %{ $r{headers} || {} },
    );

    return { status => 200, error => '', truncated => 0, %r,
             headers => \%headers, done => $r{done} // $r{started} + 0.01 };
}


# When part k of segment n is there.
sub published {
    my ($n, $k) = @_;

    return $EPOCH + 2 * $n + 0.5 * ($k + 1);
}


# --- playlists ----------------------------------------------------------------

sub multivariant {
    return join "\n", '#EXTM3U', '#EXT-X-VERSION:6',
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="Audio",DEFAULT=YES,'
        . 'AUTOSELECT=YES,URI="audio/playlist.m3u8"',
        '#EXT-X-STREAM-INF:BANDWIDTH=500000,CODECS="avc1.64001f,mp4a.40.2",'
        . 'AUDIO="a"', "source/playlist.m3u8", '';
}


# Of each part: a full version and a delta update that were waited for, one
# that was polled; and one that was waited for with each segment.
sub playlists {
    my ($crawl, $name) = @_;

    my $answers = $crawl->{playlists}{$name} = [];
    my %blocked = ('cache-control' => 'public, max-age=6');
    my %plain = ('cache-control' => 'public, max-age=1');

    for my $n (1 .. $SEGMENTS) {
        for my $k (0 .. $PARTS - 1) {
            last if $n == $SEGMENTS && $k;

            my $at = published($k ? ($n, $k - 1) : ($n - 1, $PARTS - 1));
            my $end = $n == $SEGMENTS;
            my @what = $k ? ($n, $k - 1) : ($n - 1, $PARTS - 1);
            my %asked = (msn => $FIRST + $what[0], part => $what[1],
                         started => $at - 0.4, done => $at + 0.01,
                         headers => \%blocked);

            push @$answers,
                 answer(%asked, body => playlist($name, $n, $k, $end)),
                 answer(%asked, skip => 'YES',
                        body => delta(playlist($name, $n, $k, $end), $end)),
                 answer(started => $at + 0.3, headers => \%plain,
                        body => playlist($name, $n, $k, $end));

            push @$answers, answer(msn => $FIRST + $n - 1,
                                   started => $at - 1.9, done => $at + 0.01,
                                   headers => \%blocked,
                                   body => playlist($name, $n, $k, $end))
                unless $k;
        }
    }
}


# With n complete segments and k parts of the next.
sub playlist {
    my ($name, $n, $k, $end) = @_;

    my $first = $n > $WINDOW ? $n - $WINDOW : 0;
    my ($other) = grep { $_ ne $name } keys %tracks;
    my $last = $k ? [ $n, $k - 1 ] : [ $n - 1, $PARTS - 1 ];

    my @lines = ('#EXTM3U', '#EXT-X-VERSION:9', '#EXT-X-TARGETDURATION:2',
        '#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.500,'
        . 'HOLD-BACK=6.000,CAN-SKIP-UNTIL=12.000',
        '#EXT-X-PART-INF:PART-TARGET=0.500',
        '#EXT-X-MEDIA-SEQUENCE:' . ($FIRST + $first),
        '#EXT-X-DISCONTINUITY-SEQUENCE:'
        . ($FIRST + $first > $CHANGE ? 1 : 0),
        '#EXT-X-INDEPENDENT-SEGMENTS');

    for my $i ($first .. ($k ? $n : $n - 1)) {
        my $msn = $FIRST + $i;
        my $behind = 2 * ($n - 1 - $i) + 0.5 * $k;

        push @lines, '#EXT-X-DISCONTINUITY' if $msn == $CHANGE;
        push @lines, '#EXT-X-MAP:URI="init-e-' . init($msn) . '.mp4"'
            if $i == $first || $msn == $CHANGE;
        push @lines, '#EXT-X-PROGRAM-DATE-TIME:' . strftime(
            '%Y-%m-%dT%H:%M:%S.000Z', gmtime($EPOCH + 2 * $i));

        push @lines, map { part($msn, $_) }
                     0 .. ($i == $n ? $k : $PARTS) - 1
            if !$end && $behind <= 6;
        push @lines, '#EXTINF:2.00000,', "seg-e-$msn.m4s" if $i < $n;
    }

    push @lines, '#EXT-X-ENDLIST' if $end;
    push @lines, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"seg-e-"
                 . ($FIRST + $n) . ".$k.m4s\"",
                 "#EXT-X-RENDITION-REPORT:URI=\"../$other/playlist.m3u8\","
                 . 'LAST-MSN=' . ($FIRST + $last->[0])
                 . ",LAST-PART=$last->[1]" unless $end;

    return join "\n", @lines, '';
}


sub init { return $_[0] < $CHANGE ? 1 : 2 }


sub part {
    my ($msn, $k) = @_;

    return "#EXT-X-PART:DURATION=0.50000,URI=\"seg-e-$msn.$k.m4s\""
           . ($k ? '' : ',INDEPENDENT=YES');
}


# The same without the segments that end more than 12 s before the end.
sub delta {
    my ($text, $end) = @_;

    return $text if $end;

    my $skipped = (() = $text =~ /^#EXTINF/mg) - 7;

    return $text if $skipped < 1;

    my ($head, $tail) = $text =~ /\A(.*INDEPENDENT-SEGMENTS\n)(.*)/s;

    $tail =~ s/\A.*?^seg-.*?\n//ms for 1 .. $skipped;

    return "$head#EXT-X-SKIP:SKIPPED-SEGMENTS=$skipped\n$tail";
}


# --- files --------------------------------------------------------------------

sub files {
    my ($crawl, $name) = @_;

    my $track = $tracks{$name};
    my $headers = { %$media, 'content-type' => $track->{handler} eq 'vide'
                                               ? 'video/mp4' : 'audio/mp4' };
    my $add = sub {
        my ($uri, @answers) = @_;

        push @{ $crawl->{files}{"$name/$uri"}{answers} },
             map { answer(headers => $headers, why => '', %$_) } @answers;
    };

    for my $number (1, 2) {
        $add->("init-e-$number.mp4",
               { body => init_segment($track), started => $EPOCH });
    }

    for my $n (0 .. $SEGMENTS - 1) {
        my $msn = $FIRST + $n;
        my $whole = '';

        for my $k (0 .. $PARTS - 1) {
            my $bytes = chunk($track, $n, $k);

            $add->("seg-e-$msn.$k.m4s",
                   { body => $bytes, started => published($n, $k) - 0.45,
                     done => published($n, $k) + 0.01, why => 'hinted' });
            $whole .= $bytes;
        }

        my $at = published($n, $PARTS - 1);

        $add->("seg-e-$msn.m4s", { body => $whole, started => $at + 0.02 },
               $n < $SEGMENTS - $WINDOW
               ? { body => $whole, started => $at + 20.1, why => 'again' }
               : ());
    }
}


# --- DASH ---------------------------------------------------------------------

# What a player of DASH got; on a grid with low latency, or from a timeline.
sub dash {
    my ($class, %option) = @_;

    my $crawl = { mpds => [], files => {}, times => [] };
    my $end = 2 * $SEGMENTS;

    for my $half (4 .. 2 * $end) {
        my $at = $EPOCH + $half / 2 + 0.02;
        my $over = $half == 2 * $end;

        push @{ $crawl->{mpds} }, answer(
            started => $at, body => manifest($half / 2, $over, $option{grid}),
            headers => { 'content-type' => 'application/dash+xml',
                         'cache-control' => 'public, max-age=1' });
    }

    for my $second (2, 12) {
        push @{ $crawl->{times} }, answer(
            started => $EPOCH + $second, done => $EPOCH + $second + 0.002,
            body => stamp($EPOCH + $second + 0.001), headers => {
                'cache-control' => 'no-store',
                'content-type' => 'text/plain' });
    }

    dash_files($crawl, $_, $option{grid}) for sort keys %tracks;

    return $crawl;
}


sub stamp {
    my ($time) = @_;

    return strftime('%Y-%m-%dT%H:%M:%S', gmtime $time)
           . sprintf '.%03dZ', 1000 * ($time - int $time) + 0.5;
}


my $utc = '<UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-xsdate:2014"'
          . ' value="time"/>';

# At so many seconds after the first sample.
sub manifest {
    my ($now, $over, $grid) = @_;

    my $complete = int($now / 2);
    my $first = $complete > $WINDOW ? $complete - $WINDOW : 0;
    my $change = $CHANGE - $FIRST;

    # a timeline is new with each segment, a grid with each Period
    my $new = !$grid ? 2 * $complete
              : $now >= 2 * $change + 20 ? 2 * $change + 20
              : $now >= 2 * $change ? 2 * $change : 2;
    my $text = '<?xml version="1.0" encoding="UTF-8"?>' . "\n"
        . '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="'
        . ($over ? 'static' : 'dynamic') . '" profiles="x"'
        . ' minBufferTime="PT2S" maxSegmentDuration="PT2S"'
        . ' publishTime="' . stamp($EPOCH + $new + $over) . '"';

    $text .= $over
        ? ' mediaPresentationDuration="PT' . 2 * $SEGMENTS . 'S">'
        : ' availabilityStartTime="' . stamp($EPOCH) . '"'
          . ' minimumUpdatePeriod="PT2S" timeShiftBufferDepth="PT20S"'
          . ' suggestedPresentationDelay="PT6S">'
          . ($grid ? '<ServiceDescription id="1"><Latency target="2000"/>'
                     . '</ServiceDescription>' : '') . $utc;

    for my $period ([ 0, $change ], [ $change, $SEGMENTS ]) {
        my ($from, $to) = @$period;

        next if $from && $complete <= $from && !($grid && $now >= 2 * $from);
        next if $grid && !$over ? !$from && $now >= 2 * $to + 20
                                : $first >= $to;

        my $start = 2 * $from;

        $text .= "\n<Period id=\"p$from\" start=\"PT${start}S\">";
        $text .= adaptation_set($_, $from, $grid && !$over,
                                $first > $from ? $first : $from,
                                $complete < $to ? $complete : $to)
            for qw/ source audio /;
        $text .= '</Period>';
    }

    return "$text\n</MPD>\n";
}


sub adaptation_set {
    my ($name, $from, $grid, $first, $complete) = @_;

    my $track = $tracks{$name};
    my $video = $track->{handler} eq 'vide';
    my $d = 2 * $track->{scale};
    my $pto = $from * $d;
    my $text = "\n<AdaptationSet id=\"" . ($video ? 1 : 2) . '" contentType="'
        . ($video ? 'video' : 'audio') . '" mimeType="video/mp4"'
        . ' segmentAlignment="true" startWithSAP="1">';

    $text .= '<ProducerReferenceTime id="' . ($video ? 1 : 2) . '"'
        . ' type="captured" wallClockTime="' . stamp($EPOCH + 2 * $from) . '"'
        . " presentationTime=\"$pto\">$utc</ProducerReferenceTime>" if $grid;

    $text .= "\n<SegmentTemplate timescale=\"$track->{scale}\""
        . " presentationTimeOffset=\"$pto\" startNumber=\""
        . ($FIRST + ($grid ? $from : $first)) . '"'
        . ' initialization="$RepresentationID$/init-e-'
        . init($FIRST + $from) . '.mp4"'
        . ' media="$RepresentationID$/seg-e-$Number$.m4s"';

    $text .= $grid
        ? " duration=\"$d\" availabilityTimeOffset=\"1.5\""
          . ' availabilityTimeComplete="false"/>'
        : "><SegmentTimeline>\n<S t=\"" . $first * $d . "\" d=\"$d\" r=\""
          . ($complete - $first - 1) . "\"/>\n</SegmentTimeline>"
          . '</SegmentTemplate>';

    return $text . "\n<Representation id=\"$name\" bandwidth=\"500000\""
        . ($video ? ' codecs="avc1.64001f" width="320" height="180"'
                  : ' codecs="mp4a.40.2" audioSamplingRate="48000"')
        . '/></AdaptationSet>';
}


sub dash_files {
    my ($crawl, $name, $grid) = @_;

    my $track = $tracks{$name};
    my $headers = { %$media, 'content-type' => 'video/mp4' };

    for my $number (1, 2) {
        push @{ $crawl->{files}{"$name/init-e-$number.mp4"}{answers} },
             answer(headers => $headers, why => 'init', started => $EPOCH + 2,
                    body => init_segment($track));
    }

    for my $n (0 .. $SEGMENTS - 1) {
        my $begin = $EPOCH + 2 * $n;
        my $change = $CHANGE - $FIRST;
        my $from = $n < $change ? 0 : $change;
        my %what = (body => join('', map { chunk($track, $n, $_) }
                                     0 .. $PARTS - 1),
                    headers => $headers, number => $FIRST + $n, rep => $name,
                    period => "p$from", offset => 2 * ($n - $from));
        my @answers = answer(%what, started => $begin + 2.03, why => 'listed');

        if ($grid) {
            my @bursts = map { [ $begin + 0.5 * ($_ + 1) + 0.01, $_ ] }
                         0 .. $PARTS - 1;
            my $r = answer(%what, started => $begin + 0.5, progressive => 1,
                           head => $begin + 0.51, done => $begin + 2.01,
                           at => $begin + 0.5, why => 'announced',
                           bursts => \@bursts);

            delete $r->{headers}{'content-length'};
            @answers = ($r, answer(%what, started => $begin + 2.7,
                                   why => 'again', at => $begin + 0.5));
        }

        $crawl->{files}{"$name/seg-e-" . ($FIRST + $n) . '.m4s'}{answers} =
            \@answers;
    }
}


# --- CMAF ---------------------------------------------------------------------

sub box { return pack('N a4', 8 + length $_[1], $_[0]) . $_[1] }

sub full { return box($_[0], pack('N', $_[1]) . $_[2]) }


sub init_segment {
    my ($track) = @_;

    my $entry = $track->{handler} eq 'vide'
        ? box('avc1', "\0" x 78 . box('avcC', "\1\x64\0\x1f"))
        : box('mp4a', "\0" x 28 . box('esds', "\0" x 8));
    my $tables = full('stsd', 0, pack('N', 1) . $entry)
        . join '', map { full($_, 0, "\0" x ($_ eq 'stsz' ? 8 : 4)) }
                   qw/ stts stsc stsz stco /;
    my $dinf = box('dinf', full('dref', 0, pack('N', 1) . full('url ', 1, '')));

    my $mdia = box('mdia',
        full('mdhd', 0, pack 'N5', 0, 0, $track->{scale}, 0, 0)
        . full('hdlr', 0, pack('N', 0) . $track->{handler} . "\0" x 13)
        . box('minf', $dinf . box('stbl', $tables)));

    return box('ftyp', 'iso6' . pack('N', 1) . 'iso6cmfc')
           . box('moov', full('mvhd', 0, "\0" x 96)
                 . box('trak', full('tkhd', 7, pack('N3', 0, 0, 1)
                                               . "\0" x 68) . $mdia)
                 . box('mvex', full('trex', 0, pack 'N5', 1, 1, 0, 0, 0)));
}


sub chunk {
    my ($track, $n, $k) = @_;

    my $frames = $track->{frames};
    my $tfdt = ($n * $PARTS + $k) * $frames * $track->{ticks};
    my $data = '';
    my $fields = '';

    for my $i (0 .. $frames - 1) {
        my $sync = $track->{handler} eq 'soun' || $k + $i == 0;
        my $sample = md5_hex("$track->{handler} $n $k $i");

        $fields .= pack 'N3', $track->{ticks}, length $sample,
                              $sync ? 0x02000000 : 0x01010000;
        $data .= $sample;
    }

    my $size = 88 + 12 * $frames;
    my $traf = full('tfhd', 0x20000, pack 'N', 1)
               . full('tfdt', 0x01000000, pack 'Q>', $tfdt)
               . full('trun', 0x01000701,
                      pack('N2', $frames, $size + 8) . $fields);

    return box('moof', full('mfhd', 0, pack 'N', 1 + $n * $PARTS + $k)
                       . box('traf', $traf)) . box('mdat', $data);
}


1;
