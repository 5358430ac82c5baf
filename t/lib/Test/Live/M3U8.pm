package Test::Live::M3U8;

# A strict reader of HLS playlists.  What is against the rules is collected in
# errors, each with the number of its rule (HLS-n).
#
#     my $p = Test::Live::M3U8->parse($text);
#     is_deeply($p->{errors}, [], 'playlist keeps the rules');
#
# Media playlist: type 'media', version, target, sequence,
# discontinuity_sequence, independent, endlist, part_target, server_control
# (attributes), segments: a list of { msn, dsn, uri, duration, pdt (Unix
# seconds), discontinuity, gap, map (URI), byterange, parts }.
# Multivariant playlist: type 'multivariant', version, independent, variants:
# a list of { uri, attributes }, media: a list of attributes.
#
# With parts: hints and reports (lists of attributes), skipped (of a delta
# update), and open, what is known of the segment after the last one: the
# same fields without uri and duration.  Decimals are kept as text; nanos() makes
# integers of them, so that they compare exactly.

use strict;
use warnings;

use Time::Local qw/ timegm /;


# The order of what stands before the first segment (HLS-7).
my %rank = (
    'EXTM3U' => 0, 'EXT-X-VERSION' => 1, 'EXT-X-DEFINE' => 2,
    'EXT-X-TARGETDURATION' => 3, 'EXT-X-SERVER-CONTROL' => 4,
    'EXT-X-PART-INF' => 5, 'EXT-X-MEDIA-SEQUENCE' => 6,
    'EXT-X-DISCONTINUITY-SEQUENCE' => 7, 'EXT-X-INDEPENDENT-SEGMENTS' => 8,
    'EXT-X-SKIP' => 9,
);

# Tags of one segment; they stand before its parts and not among them.
my %of_segment = map { $_ => 1 } qw/
    EXT-X-MAP EXT-X-PROGRAM-DATE-TIME EXT-X-DISCONTINUITY EXT-X-KEY
    EXT-X-BITRATE
/;

my %once = map { $_ => 1 } qw/
    EXTM3U EXT-X-VERSION EXT-X-TARGETDURATION EXT-X-MEDIA-SEQUENCE
    EXT-X-DISCONTINUITY-SEQUENCE EXT-X-INDEPENDENT-SEGMENTS EXT-X-ENDLIST
    EXT-X-SERVER-CONTROL EXT-X-PART-INF EXT-X-SKIP EXT-X-PLAYLIST-TYPE
/;

my %handlers = (
    'EXTM3U'                       => sub { },
    'EXT-X-VERSION'                => \&version,
    'EXT-X-TARGETDURATION'         => \&target,
    'EXT-X-MEDIA-SEQUENCE'         => \&media_sequence,
    'EXT-X-DISCONTINUITY-SEQUENCE' => \&discontinuity_sequence,
    'EXT-X-INDEPENDENT-SEGMENTS'   => sub { $_[0]{independent} = 1 },
    'EXT-X-ENDLIST'                => sub { $_[0]{endlist} = 1 },
    'EXT-X-SERVER-CONTROL'         => \&server_control,
    'EXT-X-PART-INF'               => \&part_inf,
    'EXT-X-MAP'                    => \&map_tag,
    'EXT-X-PROGRAM-DATE-TIME'      => \&date_time,
    'EXT-X-DISCONTINUITY'          => sub { $_[0]{next}{discontinuity}++ },
    'EXT-X-GAP'                    => sub { $_[0]{next}{gap} = 1 },
    'EXT-X-BYTERANGE'              => sub { $_[0]{next}{byterange} = $_[1] },
    'EXT-X-BITRATE'                => sub { },
    'EXT-X-PART'                   => \&part,
    'EXT-X-PRELOAD-HINT'           => sub { list($_[0], 'hints', $_[1]) },
    'EXT-X-RENDITION-REPORT'       => sub { list($_[0], 'reports', $_[1]) },
    'EXT-X-DATERANGE'              => sub { list($_[0], 'dateranges', $_[1]) },
    'EXT-X-SKIP'                   => \&skip,
    'EXTINF'                       => \&extinf,
    'EXT-X-STREAM-INF'             => \&stream_inf,
    'EXT-X-MEDIA'                  => \&media,
    'EXT-X-START'                  => sub { $_[0]{start} = $_[1] },
    'EXT-X-DEFINE'                 => sub { },
);


sub parse {
    my ($class, $text) = @_;

    my $self = bless {
        errors => [], segments => [], variants => [], media => [],
        seen => {}, next => { parts => [] }, sequence => 0, independent => 0,
        discontinuity_sequence => 0, endlist => 0, version => 1, map => undef,
        hints => [], reports => [], rank => 0, text => $text,
    }, $class;

    $self->error(1, 'a byte order mark or a control character')
        if $text =~ /[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]|\A\xef\xbb\xbf/;
    $self->error(1, 'the first line is not #EXTM3U')
        unless $text =~ /\A#EXTM3U\r?\n/;
    $self->error(1, 'the last line has no end') unless $text =~ /\n\z/;

    $self->line($_) for split /\r?\n/, $text;
    $self->check();

    return $self;
}


sub line {
    my ($self, $line) = @_;

    return if $line eq '';

    if ($line =~ /^#(EXT[A-Z0-9-]*)(?::(.*))?$/) {
        return $self->tag($1, $2 // '');
    }

    $self->uri($line) unless $line =~ /^#/;
}


sub tag {
    my ($self, $name, $value) = @_;

    $self->error(3, "$name is repeated")
        if $self->{seen}{$name}++ && $once{$name};

    my $handler = $handlers{$name};

    return $self->error(1, "unknown tag $name") unless $handler;

    $self->order($name);

    $handler->($self, $value);
}


# HLS-7, HLS-52, HLS-53: where tags stand.
sub order {
    my ($self, $name) = @_;

    my $rank = $rank{$name};

    if (defined $rank) {
        $self->error(7, "$name comes too late") if $rank < $self->{rank};
        $self->{rank} = $rank if $rank > $self->{rank};
        return;
    }

    $self->{rank} = 10 unless $name =~ /\AEXT-X-(?:STREAM-INF|MEDIA|START)\z/;

    my $of_segment = $of_segment{$name} || $name =~ /\AEXT(?:INF|-X-PART)\z/;

    $self->error(52, "$name after a PART of its segment")
        if $of_segment{$name} && @{ $self->{next}{parts} };
    $self->error(52, 'a PART after the EXTINF of its segment')
        if $name eq 'EXT-X-PART' && defined $self->{next}{duration};
    $self->error(7, "$name after PRELOAD-HINT or RENDITION-REPORT")
        if $of_segment && (@{ $self->{hints} } || @{ $self->{reports} });
}


sub error {
    my ($self, $rule, $text) = @_;

    push @{ $self->{errors} }, "HLS-$rule: $text";
}


sub number {
    my ($self, $rule, $name, $value, $pattern) = @_;

    return $value if $value =~ /^(?:$pattern)$/;

    $self->error($rule, "$name is not a number: $value");

    return 0;
}


# An attribute list, with its quotes taken off.
sub attributes {
    my ($self, $text) = @_;

    my %attributes;
    my $rest = $text;

    while ($rest =~ s/\A([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s][^",]*)(,|\z)//) {
        my ($name, $value, $comma) = ($1, $2, $3);

        $self->error(2, "$name twice in $text") if exists $attributes{$name};
        $value =~ s/\A"(.*)"\z/$1/;
        $attributes{$name} = $value;

        $self->error(2, "a comma at the end of $text")
            if $comma && $rest eq '';
    }

    $self->error(2, "bad attribute list $text") if $rest ne '';

    return \%attributes;
}


sub list {
    my ($self, $name, $value) = @_;

    push @{ $self->{$name} }, $self->attributes($value);
}


# --- media playlists ----------------------------------------------------------

sub version {
    my ($self, $value) = @_;

    $self->{version} = $self->number(4, 'VERSION', $value, qr/[1-9]\d?/);
}


sub target {
    my ($self, $value) = @_;

    $self->{target} = $self->number(8, 'TARGETDURATION', $value, qr/[1-9]\d*/);
}


sub media_sequence {
    my ($self, $value) = @_;

    $self->error(7, 'MEDIA-SEQUENCE after a segment') if $self->has_segments();
    $self->{sequence} = $self->number(11, 'MEDIA-SEQUENCE', $value, qr/\d+/);
}


sub discontinuity_sequence {
    my ($self, $value) = @_;

    $self->error(7, 'DISCONTINUITY-SEQUENCE after a segment')
        if $self->has_segments() || $self->{next}{discontinuity};
    $self->{discontinuity_sequence} =
        $self->number(20, 'DISCONTINUITY-SEQUENCE', $value, qr/\d+/);
}


sub server_control {
    my ($self, $value) = @_;

    $self->{server_control} = $self->attributes($value);
}


sub part_inf {
    my ($self, $value) = @_;

    $self->{part_target} = $self->attributes($value)->{'PART-TARGET'};
    $self->error(50, 'no PART-TARGET')
        unless ($self->{part_target} || '') =~ /^\d+(?:\.\d+)?$/;
}


# A decimal number in units of 10^-9, exact; undef for what is none.
sub nanos {
    my ($text) = @_;

    my ($whole, $rest) = ($text // '') =~ /^(\d{1,9})(?:\.(\d+))?$/
        or return undef;

    return $whole * 1_000_000_000 + substr(($rest // '') . '0' x 9, 0, 9);
}


sub map_tag {
    my ($self, $value) = @_;

    my $attributes = $self->attributes($value);

    $self->error(24, 'MAP without URI') unless $attributes->{URI};
    $self->error(19, 'MAP changes without DISCONTINUITY')
        if defined $self->{map} && $self->{map} ne ($attributes->{URI} // '')
           && !$self->{next}{discontinuity};

    $self->{map} = $attributes->{URI};
}


sub date_time {
    my ($self, $value) = @_;

    my ($y, $mo, $d, $h, $mi, $s, $sign, $zh, $zm) = $value =~
        /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d(?:\.\d+)?)
         (?:Z|([+-])(\d\d):?(\d\d))$/x
        or return $self->error(21, "bad date $value");

    my $time = eval { timegm(0, $mi, $h, $d, $mo - 1, $y) };

    return $self->error(21, "no such date: $value") unless defined $time;

    $time += $s;
    $time -= ($sign eq '-' ? -1 : 1) * ($zh * 3600 + $zm * 60) if $sign;

    $self->error(21, 'PROGRAM-DATE-TIME twice for a segment')
        if defined $self->{next}{pdt};

    $self->{next}{pdt} = $time;
}


sub part {
    my ($self, $value) = @_;

    my $part = $self->attributes($value);
    my $duration = nanos($part->{DURATION});

    $self->error(52, "PART without URI or DURATION: $value")
        unless $part->{URI} && $duration;
    $self->error(50, 'PART without PART-INF')
        unless defined $self->{part_target};
    $self->error(50, "PART over PART-TARGET: $value")
        if ($duration || 0) > (nanos($self->{part_target}) || 0);

    for my $name (qw/ INDEPENDENT GAP /) {
        $self->error(52, "$name is not YES: $value")
            if ($part->{$name} // 'YES') ne 'YES';
    }

    push @{ $self->{next}{parts} }, $part;
}


sub skip {
    my ($self, $value) = @_;

    $self->{skipped} = $self->attributes($value)->{'SKIPPED-SEGMENTS'};
    $self->error(55, "bad SKIP $value")
        unless ($self->{skipped} || '') =~ /^[1-9]\d*$/;
    $self->error(55, 'SKIP after a segment') if $self->has_segments();
    $self->error(55, 'SKIP without CAN-SKIP-UNTIL')
        unless ($self->{server_control} || {})->{'CAN-SKIP-UNTIL'};
}


sub extinf {
    my ($self, $value) = @_;

    my ($duration) = $value =~ /^(\d+(?:\.\d+)?),/
        or return $self->error(10, "bad EXTINF $value");

    $self->error(10, "EXTINF with less than 3 decimals: $value")
        unless $duration =~ /\.\d{3}/;

    $self->{next}{duration} = $duration;
}


sub uri {
    my ($self, $uri) = @_;

    my $next = $self->{next};

    $self->error(6, "not a URI: $uri") if $uri =~ /[^!-~]|["<>\\^`{|}]/;

    if ($next->{stream}) {
        push @{ $self->{variants} },
             { uri => $uri, attributes => $next->{stream} };
        $self->{next} = { parts => [] };
        return;
    }

    return $self->error(7, "no EXTINF before $uri")
        unless defined $next->{duration};

    $next->{uri} = $uri;
    $next->{map} = $self->{map};
    push @{ $self->{segments} }, $next;
    $self->{next} = { parts => [] };
}


sub has_segments {
    my ($self) = @_;

    return @{ $self->{segments} } || @{ $self->{next}{parts} };
}


# --- multivariant playlists ---------------------------------------------------

sub stream_inf {
    my ($self, $value) = @_;

    my $attributes = $self->attributes($value);

    $self->error(36, "no BANDWIDTH: $value")
        unless ($attributes->{BANDWIDTH} || '') =~ /^[1-9]\d*$/;
    $self->error(37, "no CODECS: $value") unless $attributes->{CODECS};
    $self->error(34, "bad RESOLUTION: $value")
        if ($attributes->{RESOLUTION} || '1x1') !~ /^[1-9]\d*x[1-9]\d*$/;
    $self->error(34, "bad FRAME-RATE: $value")
        if ($attributes->{'FRAME-RATE'} || '1') !~ /^\d+(?:\.\d{1,3})?$/;

    $self->{next}{stream} = $attributes;
}


sub media {
    my ($self, $value) = @_;

    my $attributes = $self->attributes($value);

    for my $name (qw/ TYPE GROUP-ID NAME /) {
        $self->error(44, "no $name: $value") unless $attributes->{$name};
    }

    $self->error(44, "DEFAULT=YES without AUTOSELECT=YES: $value")
        if ($attributes->{DEFAULT} || '') eq 'YES'
           && ($attributes->{AUTOSELECT} || '') ne 'YES';

    push @{ $self->{media} }, $attributes;
}


# --- the whole ----------------------------------------------------------------

sub check {
    my ($self) = @_;

    my $multivariant = @{ $self->{variants} } || @{ $self->{media} };

    $self->{type} = $multivariant ? 'multivariant' : 'media';

    return $self->check_multivariant() if $multivariant;

    $self->error(7, 'no TARGETDURATION') unless defined $self->{target};
    $self->number_segments();
    $self->check_segment($_) for @{ $self->{segments} };
    $self->check_dates();
    $self->check_version();
    $self->check_low_latency();
}


sub check_multivariant {
    my ($self) = @_;

    my %groups = map { ($_->{'GROUP-ID'} // '') => 1 } @{ $self->{media} };

    $self->error(34, 'a media playlist tag in a multivariant playlist')
        if defined $self->{target} || @{ $self->{segments} };
    $self->error(34, 'no variant') unless @{ $self->{variants} };

    for my $variant (@{ $self->{variants} }) {
        my $group = $variant->{attributes}{AUDIO};

        $self->error(44, "no group $group") if $group && !$groups{$group};
    }
}


sub number_segments {
    my ($self) = @_;

    my $msn = $self->{sequence} + ($self->{skipped} || 0);
    my $dsn = $self->{discontinuity_sequence};

    for my $segment (@{ $self->{segments} }) {
        $dsn += $segment->{discontinuity} || 0;
        $segment->{msn} = $msn++;
        $segment->{dsn} = $dsn;
    }

    my $open = $self->{open} = $self->{next};

    $open->{msn} = $msn;
    $open->{dsn} = $dsn + ($open->{discontinuity} || 0);
    $open->{map} = $self->{map};

    $self->error(7, 'an EXTINF without URI') if defined $open->{duration};
}


sub check_segment {
    my ($self, $segment) = @_;

    my $name = "segment $segment->{msn}";
    my $rounded = int($segment->{duration} + 0.5);

    $self->error(8, "$name of $segment->{duration} s is over the target")
        if $rounded > ($self->{target} || 0);
    $self->error(19, "$name has two DISCONTINUITY tags")
        if ($segment->{discontinuity} || 0) > 1;
    $self->error(4, "MAP needs version 6")
        if defined $segment->{map} && $self->{version} < 6;
}


# If one segment has a date all have, each where the one before it ends
# (unless a discontinuity stands between), to a millisecond.
sub check_dates {
    my ($self) = @_;

    my @segments = (@{ $self->{segments} },
                    grep { @{ $_->{parts} } } $self->{open});
    my @dated = grep { defined $_->{pdt} } @segments;

    return unless @dated;

    $self->error(21, 'some segments have no PROGRAM-DATE-TIME')
        if @dated != @segments;

    for my $i (1 .. $#dated) {
        my ($a, $b) = @dated[$i - 1, $i];
        my $gap = $b->{pdt} - $a->{pdt} - $a->{duration};

        next if $b->{msn} != $a->{msn} + 1;
        next if $b->{discontinuity} && $gap > 0;

        $self->error(21, sprintf 'segment %s is dated %.3f s off its place',
                                 $b->{msn}, $gap) if abs $gap > 0.0021;
    }
}


# HLS-4: the version that the tags need, and not a much later one.
sub check_version {
    my ($self) = @_;

    my $need = defined $self->{map} ? 6 : 3;
    my $most = $need < 7 ? 7 : $need;

    $need = 9 if $self->{skipped};
    $most = 9 if ($self->{server_control} || {})->{'CAN-SKIP-UNTIL'};

    $self->error(4, "version $self->{version} with SKIP")
        if $self->{skipped} && $self->{version} < 9;
    $self->error(4, "version $self->{version}, $need is needed")
        if $self->{version} < $need && !$self->{skipped}
           && @{ $self->{segments} };
    $self->error(4, "version $self->{version} for no reason")
        if $self->{version} > $most;
}


sub check_low_latency {
    my ($self) = @_;

    my %hints;

    $self->error(53, "two hints of TYPE $_->{TYPE}")
        for grep { $hints{$_->{TYPE} // ''}++ } @{ $self->{hints} };
    $self->error(53, 'a hint without TYPE or URI')
        for grep { !$_->{URI} || ($_->{TYPE} // '') !~ /^(?:PART|MAP)$/ }
            @{ $self->{hints} };

    $self->check_report($_) for @{ $self->{reports} };

    $self->error(29, 'a hint or parts of an open segment beside ENDLIST')
        if $self->{endlist}
           && (@{ $self->{hints} } || @{ $self->{open}{parts} });

    return unless defined $self->{part_target};

    $self->check_server_control();
    $self->check_parts($_) for @{ $self->{segments} }, $self->{open};
}


# The part that comes next, if the playlist says (HLS-53); not an error of its
# own: there is none while the publisher is away.
sub hint {
    my ($self) = @_;

    my ($hint) = grep { ($_->{TYPE} // '') eq 'PART' } @{ $self->{hints} };

    return $hint;
}


# HLS-54
sub check_report {
    my ($self, $report) = @_;

    my $uri = $report->{URI} // '';

    $self->error(54, "a report's URI is not relative: $uri")
        if $uri eq '' || $uri =~ m{^(?:[a-z]+:|//)}i;
    $self->error(54, "no LAST-MSN for $uri")
        unless ($report->{'LAST-MSN'} // '') =~ /^\d+$/;
    $self->error(54, "no LAST-PART for $uri")
        unless ($report->{'LAST-PART'} // '') =~ /^\d+$/;
}


# HLS-49, with the factors of Apple's specification.
sub check_server_control {
    my ($self) = @_;

    my $control = $self->{server_control} || {};
    my ($hold, $part_hold, $skip) = map { nanos($control->{$_}) }
        qw/ HOLD-BACK PART-HOLD-BACK CAN-SKIP-UNTIL /;
    my $part = nanos($self->{part_target}) || 0;
    my $target = nanos($self->{target}) || 0;

    $self->error(49, 'no CAN-BLOCK-RELOAD=YES')
        unless ($control->{'CAN-BLOCK-RELOAD'} // '') eq 'YES';
    $self->error(49, 'no PART-HOLD-BACK, or under 3 x PART-TARGET')
        if ($part_hold || 0) < 3 * $part;
    $self->error(49, 'HOLD-BACK is under 3 x TARGETDURATION')
        if defined $hold && $hold < 3 * $target;
    $self->error(49, 'CAN-SKIP-UNTIL is under 6 x TARGETDURATION')
        if defined $skip && $skip < 6 * $target;
}


# HLS-51, HLS-52, HLS-69; the segment may be the open one.
sub check_parts {
    my ($self, $segment) = @_;

    my @parts = @{ $segment->{parts} } or return;
    my $least = (nanos($self->{part_target}) || 0) * 85 / 100;
    my $sum = 0;

    $self->error(69, "part 0 of $segment->{msn} is not INDEPENDENT")
        if $self->{independent} && !$parts[0]{INDEPENDENT} && !$parts[0]{GAP};

    for my $i (0 .. $#parts) {
        my $part = $parts[$i];
        my $duration = nanos($part->{DURATION}) || 0;

        $sum += $duration;

        # the last one is short by right, or what follows it will tell
        next if $i == $#parts || $duration >= $least;
        next if $part->{INDEPENDENT} || $part->{GAP} || $parts[$i + 1]{GAP};

        $self->error(51, "part $i of $segment->{msn} lasts $part->{DURATION}"
                         . ' s, under 85 % of PART-TARGET');
    }

    return unless defined $segment->{duration};

    my $off = abs($sum - nanos($segment->{duration})) / 1e9;

    $self->error(52, "the parts of $segment->{msn} last $off s more or less "
                     . "than it") if $off > 0.001 * @parts;
}


# What may not change from an earlier version of the same playlist to this
# one: a list of errors (HLS-8, 11, 12, 20).
sub changes_since {
    my ($self, $old) = @_;

    my @errors;
    my %segments = map { $_->{msn} => $_ } @{ $old->{segments} };

    push @errors, "HLS-8: TARGETDURATION $old->{target} became $self->{target}"
        if $old->{target} != $self->{target};
    push @errors, 'HLS-11: MEDIA-SEQUENCE went back'
        if $self->{sequence} < $old->{sequence};
    push @errors, 'HLS-13: segments are gone from the end'
        if last_msn($self) < last_msn($old);

    for my $segment (@{ $self->{segments} }) {
        my $before = $segments{$segment->{msn}} or next;

        for my $field (qw/ uri dsn duration map pdt /) {
            my ($was, $is) = map { $_->{$field} // 'none' } $before, $segment;

            push @errors, "HLS-12: $field of $segment->{msn}: $was, now $is"
                if $was ne $is;
        }
    }

    return @errors;
}


sub last_msn {
    my ($playlist) = @_;

    my $last = $playlist->{segments}[-1];

    return $last ? $last->{msn} : $playlist->{sequence} - 1;
}


1;
