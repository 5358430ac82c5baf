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

use strict;
use warnings;

use Time::Local qw/ timegm /;


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

    $handler->($self, $value);
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
    $self->error(50, 'no PART-TARGET') unless $self->{part_target};
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

    $self->error(52, "PART without URI or DURATION: $value")
        unless $part->{URI} && $part->{DURATION};
    $self->error(50, "PART over PART-TARGET: $value")
        if ($part->{DURATION} || 0) > ($self->{part_target} || 0);

    push @{ $self->{next}{parts} }, $part;
}


sub skip {
    my ($self, $value) = @_;

    $self->{skipped} = $self->attributes($value)->{'SKIPPED-SEGMENTS'};
    $self->error(55, "bad SKIP $value") unless $self->{skipped};
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

    my @segments = @{ $self->{segments} };
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
