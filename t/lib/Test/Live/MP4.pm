package Test::Live::MP4;

# A strict reader of CMAF files.  What is against the rules is collected in
# errors, each with the number of its rule (CMAF-n).
#
#     my $init = Test::Live::MP4->init($bytes);
#     # { errors, boxes, timescale, track, handler, width, height, codec,
#     #   config (payload of avcC, or of esds) }
#
#     my $segment = Test::Live::MP4->segment($bytes);
#     # { errors, boxes, chunks => [ { sequence, tfdt, offset, length, prft,
#     #   samples => [ { dts, cts, duration, size, flags, sync, data } ] } ],
#     #   samples (of all chunks), start, end }   times in the track's ticks
#
#     join_errors($a, $b): segment b does not follow on a.

use strict;
use warnings;

my %containers = map { $_ => 1 }
                 qw/ moov trak mdia minf dinf stbl mvex edts moof traf /;


# --- boxes --------------------------------------------------------------------

# [ { type, offset, size, payload offset, boxes } ] of a range of the bytes.
sub boxes {
    my ($self, $data, $start, $end) = @_;

    my @boxes;
    my $pos = $start;

    while ($pos < $end) {
        my $left = $end - $pos;

        if ($left < 8) {
            $self->error(1, "$left bytes after the last box at $pos");
            last;
        }

        my ($size, $type) = unpack 'N a4', substr $data, $pos, 8;
        my $head = 8;

        if ($size == 1 && $left >= 16) {
            $size = unpack 'Q>', substr $data, $pos + 8, 8;
            $head = 16;
        }

        if ($size < $head || $size > $left) {
            $self->error(1, "box $type at $pos of $size bytes, $left left");
            last;
        }

        my $box = { type => $type, offset => $pos, size => $size,
                    start => $pos + $head, end => $pos + $size };

        $box->{boxes} = $self->boxes($data, $box->{start}, $box->{end})
            if $containers{$type};

        push @boxes, $box;
        $pos += $size;
    }

    return \@boxes;
}


sub error {
    my ($self, $rule, $text) = @_;

    push @{ $self->{errors} }, "CMAF-$rule: $text";
}


# The one box at the end of a path, undef (and an error) without it.
sub find {
    my ($self, $boxes, $rule, @path) = @_;

    my $box;

    for my $type (@path) {
        my @found = grep { $_->{type} eq $type } @$boxes;

        if (@found != 1) {
            $self->error($rule, scalar(@found) . ' boxes of ' .
                                join '/', @path);
            return undef;
        }

        $box = $found[0];
        $boxes = $box->{boxes} || [];
    }

    return $box;
}


# Version, flags and the rest of a full box.
sub full {
    my ($data, $box) = @_;

    my ($first) = unpack 'N', substr $data, $box->{start}, 4;

    return ($first >> 24, $first & 0xffffff,
            substr $data, $box->{start} + 4, $box->{end} - $box->{start} - 4);
}


# --- init segments ------------------------------------------------------------

sub init {
    my ($class, $data) = @_;

    my $self = bless { errors => [] }, $class;

    $self->{boxes} = $self->boxes($data, 0, length $data);

    my $types = join ' ', map { $_->{type} } @{ $self->{boxes} };
    $self->error(2, "an init segment is ftyp moov, not $types")
        unless $types =~ /\Aftyp moov( free)?\z/;

    my $moov = $self->find($self->{boxes}, 2, 'moov') or return $self;

    $self->ftyp($data);
    $self->find($moov->{boxes}, 2, 'mvex', 'trex');
    $self->track($data, $moov);

    return $self;
}


sub ftyp {
    my ($self, $data) = @_;

    my $ftyp = $self->find($self->{boxes}, 3, 'ftyp') or return;
    my ($major, undef, @brands) = unpack 'a4 N (a4)*',
        substr $data, $ftyp->{start}, $ftyp->{end} - $ftyp->{start};

    $self->{brands} = [ $major, @brands ];

    for my $brand (qw/ iso6 cmfc /) {
        $self->error(3, "no brand $brand")
            unless grep { $_ eq $brand } $major, @brands;
    }
}


sub track {
    my ($self, $data, $moov) = @_;

    my $trak = $self->find($moov->{boxes}, 2, 'trak') or return;
    my $tkhd = $self->find($trak->{boxes}, 6, 'tkhd') or return;
    my $mdhd = $self->find($trak->{boxes}, 5, 'mdia', 'mdhd') or return;
    my $hdlr = $self->find($trak->{boxes}, 6, 'mdia', 'hdlr') or return;

    my ($version, undef, $rest) = full($data, $tkhd);
    $self->{track} = unpack $version ? 'x16 N' : 'x8 N', $rest;
    ($self->{width}, $self->{height}) =
        map { $_ / 65536 } unpack 'N N', substr $rest, -8;

    ($version, undef, $rest) = full($data, $mdhd);
    $self->{timescale} = unpack $version ? 'x16 N' : 'x8 N', $rest;

    (undef, undef, $rest) = full($data, $hdlr);
    $self->{handler} = unpack 'x4 a4', $rest;

    $self->sample_tables($data, $trak);
    $self->sample_entry($data, $trak);
}


sub sample_tables {
    my ($self, $data, $trak) = @_;

    for my $type (qw/ stts stsc stsz stco /) {
        my $box = $self->find($trak->{boxes}, 2, qw/ mdia minf stbl /, $type)
            or next;
        my (undef, undef, $rest) = full($data, $box);

        $self->error(2, "$type has entries") if $rest =~ /[^\0]/;
    }
}


sub sample_entry {
    my ($self, $data, $trak) = @_;

    my $stsd = $self->find($trak->{boxes}, 2, qw/ mdia minf stbl stsd /)
        or return;
    my $entries = $self->boxes($data, $stsd->{start} + 8, $stsd->{end});

    return $self->error(2, 'stsd has not one entry') if @$entries != 1;

    my $entry = $entries->[0];
    my $skip = $self->{handler} eq 'vide' ? 78 : 28;
    my $boxes = $self->boxes($data, $entry->{start} + $skip, $entry->{end});
    my ($config) = grep { $_->{type} =~ /\A(avcC|hvcC|av1C|esds|dOps)\z/ }
                   @$boxes;

    $self->{codec} = $entry->{type};
    $self->{config} = $config && substr $data, $config->{start},
                                        $config->{end} - $config->{start};
    $self->error(32, "no codec record in $entry->{type}") unless $config;
}


# --- media segments -----------------------------------------------------------

sub segment {
    my ($class, $data) = @_;

    my $self = bless { errors => [], chunks => [], samples => [] }, $class;

    $self->{boxes} = $self->boxes($data, 0, length $data);

    my (@before, $moof);

    for my $box (@{ $self->{boxes} }) {
        if ($box->{type} eq 'moof') {
            $self->error(7, "moof at $box->{offset} after a moof") if $moof;
            $moof = $box;

        } elsif ($box->{type} eq 'mdat') {
            $self->chunk($data, $moof, $box, @before);
            @before = ();
            $moof = undef;

        } else {
            $self->error(7, "$box->{type} between moof and mdat") if $moof;
            $self->error(28, "$box->{type} in a media segment")
                if $box->{type} =~ /\A(ftyp|moov|free|skip)\z/;
            push @before, $box;
        }
    }

    $self->error(7, 'a moof without mdat') if $moof;
    $self->error(7, 'boxes at the end') if @before;
    $self->check_timeline();

    return $self;
}


sub chunk {
    my ($self, $data, $moof, $mdat, @before) = @_;

    return $self->error(7, 'an mdat without moof') unless $moof;

    my $traf = $self->find($moof->{boxes}, 7, 'traf') or return;
    my $mfhd = $self->find($moof->{boxes}, 8, 'mfhd') or return;
    my $first = $before[0] || $moof;

    my %chunk = (offset => $first->{offset},
                 length => $mdat->{end} - $first->{offset},
                 moof => $moof->{offset}, mdat => $mdat, samples => []);

    my (undef, undef, $rest) = full($data, $mfhd);
    $chunk{sequence} = unpack 'N', $rest;

    my ($prft) = grep { $_->{type} eq 'prft' } @before;
    $chunk{prft} = $self->prft($data, $prft) if $prft;

    my $types = join ' ', map { $_->{type} } @{ $traf->{boxes} };
    $self->error(7, "traf holds $types") unless $types =~ /\Atfhd tfdt trun\b/;

    $self->tfhd($data, $traf, \%chunk);
    $self->tfdt($data, $traf, \%chunk);
    $self->trun($data, $traf, \%chunk);

    push @{ $self->{chunks} }, \%chunk;
    push @{ $self->{samples} }, @{ $chunk{samples} };
}


sub prft {
    my ($self, $data, $box) = @_;

    my ($version, $flags, $rest) = full($data, $box);
    my ($track, $seconds, $fraction) = unpack 'N N N', $rest;
    my $media = $version ? unpack('x12 Q>', $rest) : unpack('x12 N', $rest);

    return { track => $track, media_time => $media, flags => $flags,
             time => $seconds - 2208988800 + $fraction / 2 ** 32 };
}


sub tfhd {
    my ($self, $data, $traf, $chunk) = @_;

    my $box = $self->find($traf->{boxes}, 9, 'tfhd') or return;
    my (undef, $flags, $rest) = full($data, $box);

    $self->error(9, 'tfhd without default-base-is-moof')
        unless $flags & 0x20000;
    $self->error(9, 'tfhd with base-data-offset') if $flags & 1;

    my @fields = unpack 'N*', $rest;

    $chunk->{track} = shift @fields;
    shift @fields if $flags & 2;
    $chunk->{default_duration} = shift @fields if $flags & 8;
    $chunk->{default_size} = shift @fields if $flags & 0x10;
    $chunk->{default_flags} = shift @fields if $flags & 0x20;
    $self->error(9, 'tfhd has bytes left') if @fields;
}


sub tfdt {
    my ($self, $data, $traf, $chunk) = @_;

    my $box = $self->find($traf->{boxes}, 10, 'tfdt') or return;
    my ($version, undef, $rest) = full($data, $box);

    $self->error(10, 'tfdt is not version 1') if $version != 1;
    $chunk->{tfdt} = unpack $version ? 'Q>' : 'N', $rest;
}


sub trun {
    my ($self, $data, $traf, $chunk) = @_;

    my $box = $self->find($traf->{boxes}, 11, 'trun') or return;
    my ($version, $flags, $rest) = full($data, $box);
    my ($count, @fields) = unpack 'N*', $rest;
    my ($offset, $first_flags);

    $offset = shift @fields if $flags & 1;
    $first_flags = shift @fields if $flags & 4;

    $self->error(11, 'trun without data-offset') unless $flags & 1;
    $self->error(11, 'trun with first-sample-flags and flags')
        if $flags & 4 && $flags & 0x400;
    $self->error(11, 'data-offset is not the start of mdat')
        if ($offset || 0) + $chunk->{moof} != $chunk->{mdat}{start};
    $self->error(15, 'an empty chunk') unless $count;

    my $dts = $chunk->{tfdt};
    my $pos = $chunk->{mdat}{start};

    for my $i (0 .. $count - 1) {
        my %s = (dts => $dts, duration => $chunk->{default_duration},
                 size => $chunk->{default_size}, cts => 0,
                 flags => $chunk->{default_flags});

        $s{duration} = shift @fields if $flags & 0x100;
        $s{size} = shift @fields if $flags & 0x200;
        $s{flags} = shift @fields if $flags & 0x400;
        $s{flags} = $first_flags if $flags & 4 && $i == 0;
        $s{cts} = shift @fields if $flags & 0x800;
        $s{cts} = unpack 'l', pack 'L', $s{cts} if $version;

        return $self->error(11, "sample $i has no size or no duration")
            unless defined $s{size} && defined $s{duration};

        $s{sync} = !(($s{flags} || 0) & 0x10000) || 0;
        $s{data} = substr $data, $pos, $s{size};
        push @{ $chunk->{samples} }, \%s;

        $dts += $s{duration};
        $pos += $s{size};
    }

    $self->error(11, 'trun has bytes left') if @fields;
    $self->error(7, "samples end at $pos, mdat at $chunk->{mdat}{end}")
        if $pos != $chunk->{mdat}{end};

    $chunk->{end} = $dts;
}


sub check_timeline {
    my ($self) = @_;

    my @chunks = @{ $self->{chunks} };

    return $self->error(15, 'no chunk') unless @chunks;

    $self->{start} = $chunks[0]{tfdt};
    $self->{end} = $chunks[-1]{end};

    for my $i (1 .. $#chunks) {
        my ($a, $b) = @chunks[$i - 1, $i];

        $self->error(14, "chunk $i starts at $b->{tfdt}, not at $a->{end}")
            if $a->{end} != $b->{tfdt};
        $self->error(8, "chunk $i: mfhd $b->{sequence} after $a->{sequence}")
            if $b->{sequence} <= $a->{sequence};
    }

    for my $chunk (@chunks) {
        $self->error(31, "prft is for $chunk->{prft}{media_time}")
            if $chunk->{prft} && $chunk->{prft}{media_time} != $chunk->{tfdt};
    }

    $self->error(13, 'the first sample is not sync')
        unless $self->{samples}[0] && $self->{samples}[0]{sync};
}


# What is wrong where segment b follows segment a without a discontinuity.
sub join_errors {
    my ($a, $b) = @_;

    my @errors;

    push @errors, "CMAF-14: segment starts at $b->{start}, not at $a->{end}"
        if $a->{end} != $b->{start};
    push @errors, 'CMAF-8: mfhd goes back'
        if $b->{chunks}[0]{sequence} <= $a->{chunks}[-1]{sequence};

    return @errors;
}


1;
