package Test::Live::Check::HLS;

# Judges what a player of HLS was given over a time: every version of every
# media playlist, and every file.  Nothing is fetched here.
#
#     my $result = Test::Live::Check::HLS->check($crawl);
#     # { violations => [ 'source: HLS-53: ...' ], timing => [ ... ],
#     #   counts => { versions, deltas, parts, ... } }
#
# $crawl: { playlists => { NAME => [ answer, ... ] }, files => { "NAME/URI" =>
# { answers => [ answer, ... ] } }, multivariant => [ answer, ... ] }; an
# answer is { status, headers, body, started, done } with msn, part and skip of
# the request, or why (Test::Live::Crawl::HLS) of a file.  away => [ [ from, to
# ], ... ]: Unix times between which there was no publisher; then there is no
# hint, and directives are ignored.
#
# Media are judged by Test::Live::Check::Media.  An edge is what a version shows
# last, as one number: msn x 10000 + parts of the segment that is not complete.

use strict;
use warnings;

use parent 'Test::Live::Check';

use Test::Live::Check::Media;
use Test::Live::M3U8;

# Answers to requests at different times come by different workers, but
# never does an older one follow a newer one by more than this.  Seconds.
my $slack = 0.25;


sub check {
    my ($class, $crawl) = @_;

    my $self = $class->new($crawl);

    $self->{tracks} = {};

    $self->multivariant();

    for my $name (sort keys %{ $crawl->{playlists} }) {
        $self->{tracks}{$name} = $self->track($name);
    }

    $self->renditions();
    Test::Live::Check::Media::check($self);

    return { map { $_ => $self->{$_} }
             qw/ violations timing counts tracks / };
}


# Players read it once: what it lists stays (HLS-48).
sub multivariant {
    my ($self) = @_;

    my $listed;

    for my $r (@{ $self->{crawl}{multivariant} || [] }) {
        if ($r->{status} != 200) {
            $self->bad('multivariant', 'HLS-48', "answers $r->{status}");
            next;
        }

        my $p = Test::Live::M3U8->parse($r->{body});

        $self->bad('multivariant', split /: /, $_, 2) for @{ $p->{errors} };
        $self->playlist_headers('multivariant', $r, $p);

        my $uris = join ' ', sort((map { $_->{uri} } @{ $p->{variants} }),
                                  map { $_->{URI} // 'none' } @{ $p->{media} });

        $listed //= $uris;
        $self->bad('multivariant', 'HLS-48', "it listed $listed, lists $uris")
            if $listed ne $uris;
    }
}


# --- one media playlist -------------------------------------------------------

# { name, versions, sorted (by edge), segments (by msn: what is known of each,
# parts is how many it had when it was complete), parts (by msn) }
sub track {
    my ($self, $name) = @_;

    my $track = { name => $name, versions => [], segments => {}, parts => {},
                  counts => {} };
    my @answers = @{ $self->{crawl}{playlists}{$name} };

    $self->version($track, $_) for @answers;
    $self->count('versions', scalar @{ $track->{versions} });

    my @sorted = sort { $a->{edge} <=> $b->{edge}
                        || $a->{p}{endlist} <=> $b->{p}{endlist}
                        || $a->{p}{sequence} <=> $b->{p}{sequence}
                        || $a->{r}{done} <=> $b->{r}{done} }
                 @{ $track->{versions} };

    $track->{sorted} = \@sorted;

    # deltas are read with what full versions have told
    $self->learn($track, $_) for grep { !$_->{p}{skipped} } @sorted;
    $self->learn($track, $_) for grep { $_->{p}{skipped} } @sorted;

    $self->sequence($track);
    $self->causality($track);
    $self->deltas($track);
    $self->hints($track);
    $self->blocking($track, $_) for @answers;
    $self->etags($track);
    $self->pace($track);

    return $track;
}


sub version {
    my ($self, $track, $r) = @_;

    my $name = $track->{name};

    return $self->refused($track, $r) if $r->{status} != 200;

    $self->bad($name, 'HTTP', 'a playlist is truncated') if $r->{truncated};

    my $p = $r->{playlist} ||= Test::Live::M3U8->parse($r->{body});
    my @errors = @{ $p->{errors} };

    # a delta has no MAP of its own, and knows no DSN
    @errors = grep { !/^HLS-19: MAP/ } @errors if $p->{skipped};

    $self->bad($name, split /: /, $_, 2) for @errors;
    $self->bad($name, 'HLS-55', 'a delta update that was not asked for')
        if $p->{skipped} && !defined $r->{skip};

    $self->bad($name, 'HLS-53', 'no hint at ' . place(edge($p)))
        if defined $p->{part_target} && !$p->{endlist} && !$p->hint()
           && !$self->away($r);

    push @{ $track->{versions} }, { r => $r, p => $p, edge => edge($p) };
    $self->playlist_headers($name, $r, $p);
}


# There was no publisher for a part of the time that the request took.
sub away {
    my ($self, $r) = @_;

    return scalar grep { $r->{done} >= $_->[0] && $r->{started} <= $_->[1] }
                  @{ $self->{crawl}{away} || [] };
}


sub edge {
    my ($p) = @_;

    return $p->{open}{msn} * 10000 + @{ $p->{open}{parts} };
}


# HLS-61: a held request may be refused at the limit; before the first version
# there is nothing.
sub refused {
    my ($self, $track, $r) = @_;

    my $what = query($r) . " answers $r->{status}";
    my $held = $r->{done} - $r->{started};

    $self->error_headers($track->{name}, $what, $r);

    return if $r->{status} == 503 && defined $r->{msn} && $held >= 3;
    return if $r->{status} == 404 && !@{ $track->{versions} };

    $self->bad($track->{name}, $r->{status} == 400 ? 'HLS-60' : 'HLS-48',
               $what);
}


sub query {
    my ($r) = @_;

    return join ' ', 'playlist', map { "$_=$r->{$_}" }
                                 grep { defined $r->{$_} } qw/ msn part skip /;
}


# What a version says of each segment is what others said (HLS-12, HLS-13,
# HLS-20).
sub learn {
    my ($self, $track, $v) = @_;

    my $p = $v->{p};
    my $shift = $p->{skipped} ? $self->dsn_shift($track, $p) : 0;
    my @listed = (@{ $p->{segments} }, $p->{open});

    for my $segment (@listed) {
        my $known = $track->{segments}{$segment->{msn}} ||= {};
        my $is_open = !defined $segment->{uri};

        # before there is anything of it
        next if $is_open && !@{ $segment->{parts} };

        $segment = { %$segment, dsn => $segment->{dsn} + $shift } if $shift;

        $self->same($track, $segment, $known, $p->{skipped} && !defined $shift);
        $self->same_parts($track, $segment, $known);

        if (!$is_open) {
            $known->{complete} = 1;
            $known->{first} = $v->{r}{done}
                if ($known->{first} // 9e99) > $v->{r}{done};
        }
    }

    $self->old_parts($track, $p);
}


# A delta does not show the DISCONTINUITY tags of what it skips.
sub dsn_shift {
    my ($self, $track, $p) = @_;

    my $last = $track->{segments}{$p->{sequence} + $p->{skipped} - 1};

    return $last && defined $last->{dsn}
           ? $last->{dsn} - $p->{discontinuity_sequence} : undef;
}


my %rules = (uri => 12, dsn => 20, duration => 13, pdt => 13, map => 13,
             discontinuity => 13, gap => 13);

sub same {
    my ($self, $track, $segment, $known, $dsn_unknown) = @_;

    for my $field (sort keys %rules) {
        my $is = $segment->{$field};

        # not known yet of a segment that is open; not said again in a delta
        next if !defined $is && $field =~ /^(?:uri|duration|map)$/;
        next if $field eq 'gap' && !defined $segment->{uri};
        next if $field eq 'dsn' && $dsn_unknown;

        $is //= 'none';
        $known->{$field} //= $is;

        $self->bad($track->{name}, "HLS-$rules{$field}",
                   "$field of $segment->{msn} was $known->{$field}, is $is")
            if $known->{$field} ne $is;
    }
}


sub same_parts {
    my ($self, $track, $segment, $known) = @_;

    my @parts = @{ $segment->{parts} } or return;
    my $all = $track->{parts}{$segment->{msn}} ||= [];

    for my $i (0 .. $#parts) {
        my $text = join ',', map { "$_=$parts[$i]{$_}" } sort keys %{$parts[$i]};

        $all->[$i] ||= { %{ $parts[$i] }, text => $text };

        $self->bad($track->{name}, 'HLS-13', "part $i of $segment->{msn} was "
                                             . "$all->[$i]{text}, is $text")
            if $all->[$i]{text} ne $text;
    }

    return unless defined $segment->{uri};

    $known->{parts} //= @parts;

    $self->bad($track->{name}, 'HLS-13', "$segment->{msn} had $known->{parts} "
               . 'parts, has ' . @parts) if $known->{parts} != @parts;
    $self->bad($track->{name}, 'HLS-13', "$segment->{msn} is complete with "
               . @parts . ' parts, had ' . @$all) if @parts < @$all;
}


# HLS-18: no parts of what ended three target durations before the edge, but
# parts of all that is near to it.
sub old_parts {
    my ($self, $track, $p) = @_;

    return if !defined $p->{part_target} || $p->{endlist};

    my $behind = 0;

    $behind += $_->{DURATION} || 0 for @{ $p->{open}{parts} };

    for my $segment (reverse @{ $p->{segments} }) {
        my $parts = @{ $segment->{parts} };

        $self->bad($track->{name}, 'HLS-18',
                   sprintf '%s has parts, %.3f s behind the edge',
                           $segment->{msn}, $behind)
            if $parts && $behind > 3 * ($p->{target} || 0) + 0.001;
        $self->bad($track->{name}, 'HLS-13',
                   sprintf '%s has no parts, %.3f s behind the edge',
                           $segment->{msn}, $behind)
            if !$parts && !$segment->{gap}
               && $behind + $segment->{duration} < 2 * ($p->{target} || 0);

        $behind += $segment->{duration};
    }
}


# --- from version to version --------------------------------------------------

my @constant = (
    [ 'HLS-8', 'TARGETDURATION', sub { $_[0]{target} } ],
    [ 'HLS-50', 'PART-TARGET', sub { $_[0]{part_target} } ],
    [ 'HLS-49', 'SERVER-CONTROL', sub {
        my $c = $_[0]{server_control} || {};
        return join ',', map { "$_=$c->{$_}" } sort keys %$c;
    } ],
);

sub sequence {
    my ($self, $track) = @_;

    my $name = $track->{name};
    my $before;

    for my $v (@{ $track->{sorted} }) {
        my ($p, $q) = ($v->{p}, $before && $before->{p});

        $before = $v;
        next unless $q;

        for my $c (@constant) {
            my ($rule, $what, $get) = @$c;
            my ($was, $is) = map { $get->($_) // 'none' } $q, $p;

            $self->bad($name, $rule, "$what was $was, is $is") if $was ne $is;
        }

        $self->bad($name, 'HLS-20', 'DISCONTINUITY-SEQUENCE went from '
                   . "$q->{discontinuity_sequence} to "
                   . "$p->{discontinuity_sequence}")
            if $p->{discontinuity_sequence} < $q->{discontinuity_sequence};
        $self->bad($name, 'HLS-13', 'INDEPENDENT-SEGMENTS comes or goes')
            if $p->{independent} != $q->{independent};
        $self->shrunk($name, $p) if $p->{sequence} > $q->{sequence};
    }
}


# HLS-16: what has lost its oldest segments still has enough.
sub shrunk {
    my ($self, $name, $p) = @_;

    my $length = 0;

    $length += $_->{duration} for @{ $p->{segments} };
    return if $p->{skipped} || $length >= 3 * ($p->{target} || 0) - 0.001;

    $self->bad($name, 'HLS-16', "the window shrank to $length s");
}


# Who asks after an answer came gets nothing older (HLS-13), and nothing after
# the end (HLS-29).
sub causality {
    my ($self, $track) = @_;

    my @done = sort { $a->{r}{done} <=> $b->{r}{done} }
               @{ $track->{versions} };
    my ($edge, $sequence, $ended) = (-1, 0, 0);

    for my $v (sort { $a->{r}{started} <=> $b->{r}{started} } @done) {

        while (@done && $done[0]{r}{done} + $slack < $v->{r}{started}) {
            my $old = shift @done;

            $edge = $old->{edge} if $old->{edge} > $edge;
            $ended = 1 if $old->{p}{endlist};
            $sequence = $old->{p}{sequence}
                if $old->{p}{sequence} > $sequence;
        }

        $self->bad($track->{name}, 'HLS-11', 'MEDIA-SEQUENCE '
                   . "$v->{p}{sequence} after $sequence")
            if $v->{p}{sequence} < $sequence;

        $self->bad($track->{name}, 'HLS-13', 'a version that ends at '
                   . place($v->{edge}) . ' after one that ends at '
                   . place($edge)) if $v->{edge} < $edge;
        $self->bad($track->{name}, 'HLS-29', 'the playlist goes on at '
                   . place($v->{edge}) . ' after ENDLIST')
            if $ended && !$v->{p}{endlist};
    }
}


sub place {
    my ($edge) = @_;

    return int($edge / 10000) . '/' . $edge % 10000;
}


# --- delta updates (HLS-55, HLS-56) -------------------------------------------

sub deltas {
    my ($self, $track) = @_;

    my %full;

    for my $v (grep { !$_->{p}{skipped} } @{ $track->{sorted} }) {
        $full{"$v->{edge} $v->{p}{sequence}"} ||= $v;
        $self->not_skipped($track, $v) if ($v->{r}{skip} // '') eq 'YES';
    }

    for my $v (grep { $_->{p}{skipped} } @{ $track->{sorted} }) {
        my $p = $v->{p};

        $self->count('deltas');
        $self->bad($track->{name}, 'HLS-56', 'a delta update with ENDLIST')
            if $p->{endlist};
        $self->skipped_count($track, $v);

        my $same = $full{"$v->{edge} $p->{sequence}"} or next;

        $self->count('deltas merged');
        $self->merges($track, $v, $same);
    }
}


# How many segments end further than CAN-SKIP-UNTIL before the end of the last
# one; undef where some of them are not known.
sub skippable {
    my ($self, $track, $p) = @_;

    my $until = ($p->{server_control} || {})->{'CAN-SKIP-UNTIL'};
    my $end = 0;
    my $n = 0;

    return 0 unless defined $until;

    for my $msn (reverse $p->{sequence} .. $p->{open}{msn} - 1) {
        my $known = $track->{segments}{$msn};

        return undef unless $known && defined $known->{duration};
        $n++ if $end > $until + 0.0005;
        $end += $known->{duration};
    }

    return $n;
}


sub skipped_count {
    my ($self, $track, $v) = @_;

    my $n = $self->skippable($track, $v->{p});

    $self->bad($track->{name}, 'HLS-56', "$v->{p}{skipped} segments skipped at "
                                         . place($v->{edge}) . ", not $n")
        if defined $n && abs($n - $v->{p}{skipped}) > 0;
}


sub not_skipped {
    my ($self, $track, $v) = @_;

    my $n = $v->{p}{endlist} ? 0 : $self->skippable($track, $v->{p});

    $self->bad($track->{name}, 'HLS-56', 'no delta update at '
               . place($v->{edge}) . ", $n segments could be skipped") if $n;
}


# What a client makes of a delta update is the full playlist.
sub merges {
    my ($self, $track, $v, $full) = @_;

    my @delta = lines($v);
    my @whole = lines($full);
    my $at = 0;

    $at++ while $at < @delta && $delta[$at] !~ /^#EXT-X-SKIP:/;

    my @head = @delta[0 .. $at - 1];
    my @tail = @delta[$at + 1 .. $#delta];

    # the version may be that of the tags that are used (HLS-4)
    my @same = map { [ grep { !/^#EXT-X-VERSION/ } @$_ ] }
               [ @head ], [ @whole[0 .. $#head] ];

    $self->bad($track->{name}, 'HLS-55', 'the head of a delta update at '
               . place($v->{edge}) . ' is not that of the full playlist')
        if "@{ $same[0] }" ne "@{ $same[1] }";

    my @end = @tail > @whole ? @whole : @whole[@whole - @tail .. $#whole];

    # a MAP may be said again
    shift @tail while "@tail" ne "@end" && @tail
                      && $tail[0] =~ /^#EXT-X-MAP/ && shift @end;

    $self->bad($track->{name}, 'HLS-55', 'a delta update at '
               . place($v->{edge}) . ' does not merge to the full playlist')
        if "@tail" ne "@end"
           || segment_lines(@whole) != segment_lines(@tail) + $v->{p}{skipped};
}


# Without what differs from moment to moment.
sub lines {
    my ($v) = @_;

    return grep { !/^#EXT-X-RENDITION-REPORT:/ } split /\r?\n/, $v->{r}{body};
}


sub segment_lines {
    return scalar grep { !/^#/ && $_ ne '' } @_;
}


# --- hints (HLS-53) -----------------------------------------------------------

sub hints {
    my ($self, $track) = @_;

    for my $v (@{ $track->{versions} }) {
        my $hint = $v->{p}->hint() or next;
        my $part = next_part($track, $v) or next;

        $self->count('hints');
        $self->bad($track->{name}, 'HLS-53', ($hint->{URI} // 'nothing')
                   . ' is hinted at ' . place($v->{edge}) . ', but '
                   . ($part->{URI} // 'nothing') . ' came')
            if ($hint->{URI} // '') ne ($part->{URI} // '');
    }
}


# The first part with media that was seen behind a version's edge; undef when
# none came, or it is not known.
sub next_part {
    my ($track, $v) = @_;

    my ($msn, $next) = ($v->{p}{open}{msn}, $v->{edge} % 10000);

    while (1) {
        my $known = $track->{segments}{$msn};
        my $part = ($track->{parts}{$msn} || [])->[$next++];

        # nobody can tell a discontinuity before it is there
        return undef if $part && $next == 1 && $known->{discontinuity} ne 'none'
                        && $msn > $v->{p}{open}{msn};
        return $part if $part && !$part->{GAP};
        next if $part;

        # the segment may be over by then
        return undef if !$known || !$known->{parts} || $next <= $known->{parts};
        ($msn, $next) = ($msn + 1, 0);
    }
}


# --- blocking answers (HLS-59, HLS-62) ----------------------------------------

sub blocking {
    my ($self, $track, $r) = @_;

    return if $r->{status} != 200 || !defined $r->{msn};

    my $p = $r->{playlist};

    return if $p->{endlist} || !$p->hint() && $self->away($r);

    my $parts = ($track->{segments}{$r->{msn}} || {})->{parts};
    my $want = ($r->{msn} + 1) * 10000;

    if (defined $r->{part}) {
        $want = $r->{msn} * 10000 + $r->{part} + 1;
        $want = ($r->{msn} + 1) * 10000 + 1
            if $parts && $r->{part} >= $parts;
    }

    my $edge = edge($p);

    $self->count('blocked');
    $self->bad($track->{name}, 'HLS-62', query($r) . ' was answered at '
                                         . place($edge))
        if $edge < $want;
}


# --- headers ------------------------------------------------------------------

sub playlist_headers {
    my ($self, $name, $r, $p) = @_;

    my $age = Test::Live::Check::max_age($r);
    my $target = $p->{target} || 4;
    my $plain = $target >= 4 ? int($target / 2) : 1;
    my $most = $p->{type} eq 'multivariant' ? 30
               : $p->{endlist} ? 31536000
               : defined $r->{msn} ? 6 * $target
               : defined $p->{part_target} ? 1
               : $plain;
    my $rule = defined $r->{msn} ? 'HTTP-3' : 'HTTP-2';

    $self->bad($name, $rule, 'Cache-Control "' . Test::Live::Check::header($r, 'cache-control')
                             . '" for ' . query($r))
        if !$age || $age > $most
           || Test::Live::Check::header($r, 'cache-control') =~ /immutable|private/;

    $self->bad($name, 'HLS-1', 'Content-Type ' . Test::Live::Check::header($r, 'content-type'))
        if Test::Live::Check::header($r, 'content-type')
           !~ m{^(?:application/vnd\.apple|audio)/?\.?mpegurl\b};
    $self->bad($name, 'HTTP-25', 'a playlist without ETag')
        if Test::Live::Check::header($r, 'etag') eq '';
    $self->cors($name, $r);
    $self->bad($name, 'HTTP-35', 'Age and Date are not exposed')
        unless Test::Live::Check::header($r, 'access-control-expose-headers') =~ /\bAge\b/i
               && Test::Live::Check::header($r, 'access-control-expose-headers') =~ /\bDate\b/i;
}


# Of a URL, the ETag is new when the bytes are and only then (HTTP-25).
sub etags {
    my ($self, $track) = @_;

    my (%text, %tag);

    for my $v (@{ $track->{versions} }) {
        my ($r, $url) = ($v->{r}, query($v->{r}));
        my ($etag, $body) = (Test::Live::Check::header($r, 'etag'), $r->{body});

        $text{"$url $etag"} //= $body;
        $tag{"$url $body"} //= $etag;

        $self->bad($track->{name}, 'HTTP-25', "$url: ETag $etag is of two texts")
            if $text{"$url $etag"} ne $body;
        $self->bad($track->{name}, 'HTTP-25', "$url: a text has two ETags")
            if $tag{"$url $body"} ne $etag;
    }
}


# HLS-15, counted only: how far apart new edges were seen.
sub pace {
    my ($self, $track) = @_;

    my ($edge, $at, $worst) = (-1, undef, 0);

    for my $v (sort { $a->{r}{done} <=> $b->{r}{done} }
               @{ $track->{versions} })
    {
        next if $v->{edge} <= $edge;

        my $due = $v->{p}{part_target} // 1.5 * ($v->{p}{target} || 0);

        if (defined $at && $v->{r}{done} - $at > $due + 0.1) {
            $worst = $v->{r}{done} - $at if $v->{r}{done} - $at > $worst;
            push @{ $self->{timing} },
                 sprintf '%s: HLS-15: %s came %.3f s after %s, due in %.3f s',
                         $track->{name}, place($v->{edge}),
                         $v->{r}{done} - $at, place($edge), $due;
        }

        ($edge, $at) = ($v->{edge}, $v->{r}{done});
    }
}


# --- the playlists of a stream together ---------------------------------------

sub renditions {
    my ($self) = @_;

    my @names = sort keys %{ $self->{tracks} };

    for my $name (@names) {
        $self->reports($self->{tracks}{$name}, grep { $_ ne $name } @names);
    }

    for my $i (1 .. $#names) {
        $self->aligned(@{ $self->{tracks} }{ @names[0, $i] });
    }
}


# HLS-9, HLS-19, HLS-20, HLS-46, HLS-49: the same numbers for the same time.
sub aligned {
    my ($self, $x, $y) = @_;

    my ($p, $q) = map { ($_->{versions}[-1] || return)->{p} } $x, $y;
    my $both = "$x->{name}, $y->{name}";

    for my $c ($constant[0], $constant[2]) {
        my ($rule, $what, $get) = @$c;
        my ($a, $b) = map { $get->($_) // 'none' } $p, $q;

        $rule = 'HLS-9' if $rule eq 'HLS-8';
        $self->bad($both, $rule, "$what $a and $b") if $a ne $b;
    }

    my @common = sort { $a <=> $b }
                 grep { $y->{segments}{$_} && defined $x->{segments}{$_}{dsn}
                        && defined $y->{segments}{$_}{dsn} }
                 keys %{ $x->{segments} };

    # a track that begins late begins within a segment
    shift @common;

    for my $msn (@common) {
        my ($s, $o) = ($x->{segments}{$msn}, $y->{segments}{$msn});

        $self->bad($both, 'HLS-20', "DSN of $msn is $s->{dsn} and $o->{dsn}")
            if $s->{dsn} != $o->{dsn};

        next if grep { !defined $_->{pdt} || $_->{pdt} eq 'none' } $s, $o;

        # 1024 samples of AAC at 44100 Hz, and rounding
        my $off = $s->{pdt} - $o->{pdt};

        # a GAP in place of what a worker was making when it died begins where
        # what it had made ends (HLS-21); there is nothing in it to be in step
        next if ($off < 0 ? $s : $o)->{gap} && ($off < 0 ? $s : $o)->{gap}
                ne 'none';

        $self->bad($both, 'HLS-46', sprintf '%s begins %.3f s apart', $msn, $off)
            if abs $off > 1024 / 44100 + 0.002;
    }
}


# HLS-54: a report of each other playlist, never ahead of it, and not far
# behind.
sub reports {
    my ($self, $track, @others) = @_;

    for my $v (@{ $track->{versions} }) {
        next if $v->{p}{endlist} || !defined $v->{p}{part_target};

        my %report = map { (report_name($_->{URI} // '') // '') => $_ }
                     @{ $v->{p}{reports} };

        for my $name (@others) {
            my $report = delete $report{$name};

            if ($report) {
                $self->report($track, $v, $self->{tracks}{$name}, $report);

            } elsif (was_there($self->{tracks}{$name}, $v)) {
                $self->bad($track->{name}, 'HLS-54', "no report of $name");
            }
        }

        $self->bad($track->{name}, 'HLS-54', "a report of \"$_\"")
            for keys %report;
    }
}


sub report_name {
    my ($uri) = @_;

    return $uri =~ m{^\.\./([^/]+)/playlist\.m3u8$} ? $1 : undef;
}


# It had something to report well before the version was asked for.
sub was_there {
    my ($other, $v) = @_;

    return scalar grep { $_->{r}{done} + $slack < $v->{r}{started} }
                  @{ $other->{versions} };
}


sub report {
    my ($self, $track, $v, $other, $report) = @_;

    my ($msn, $part) = @$report{qw/ LAST-MSN LAST-PART /};

    return unless ($msn // '') =~ /^\d+$/ && ($part // '') =~ /^\d+$/;

    my $known = $other->{segments}{$msn} || {};
    my $parts = $known->{parts};
    my $edge = $parts && $part == $parts - 1
               ? ($msn + 1) * 10000 : $msn * 10000 + $part + 1;
    my $what = "$other->{name} is reported at $msn/$part";

    $self->count('reports');

    # a part that it never had
    $self->bad($track->{name}, 'HLS-54', "$what, but $msn has $parts parts")
        if $parts && $part >= $parts;

    # when is it ahead: all who asked there afterwards saw less
    for my $w (@{ $other->{versions} }) {
        next if $w->{r}{started} <= $v->{r}{done} + $slack;

        $self->bad($track->{name}, 'HLS-54', "$what, ahead of "
                                             . place($w->{edge}))
            if $w->{edge} < $msn * 10000 + $part + 1;
    }

    $self->behind($track, $v, $other, $edge, $what);
}


# One part behind is a matter of timing.
sub behind {
    my ($self, $track, $v, $other, $edge, $what) = @_;

    my $seen = 0;

    for my $w (@{ $other->{versions} }) {
        $seen = $w->{edge} if $w->{r}{done} + $slack < $v->{r}{started}
                              && $w->{edge} > $seen;
    }

    return if $seen <= $edge;

    my $parts = 0;

    for my $msn (int($edge / 10000) .. int($seen / 10000)) {
        for my $i (0 .. $#{ $other->{parts}{$msn} || [] }) {
            my $at = $msn * 10000 + $i + 1;
            $parts++ if $at > $edge && $at <= $seen;
        }
    }

    my $line = "$what, " . place($seen) . ' was there before';

    return unless $parts;
    return $self->bad($track->{name}, 'HLS-54', $line) if $parts > 1;

    push @{ $self->{timing} }, "$track->{name}: HLS-54: $line";
}


1;
