package Test::Live::Check::Media;

# The files of Test::Live::Check::HLS: that each is there, never changes, is
# strict CMAF, and lasts what the playlists say.

use strict;
use warnings;

use Test::Live::M3U8;
use Test::Live::MP4;


sub check {
    my ($self) = @_;

    my %offsets;

    for my $name (sort keys %{ $self->{tracks} }) {
        my $track = $self->{tracks}{$name};

        $offsets{$name} = {};
        answers($self, $track);
        inits($self, $track);
        segments($self, $track, $offsets{$name});
        all_parts($self, $track);
    }

    one_clock($self, \%offsets);
}


# --- answers ------------------------------------------------------------------

# Headers, status, and that it is always the same (HLS-17, HTTP-8, HTTP-25).
sub answers {
    my ($self, $track) = @_;

    my $name = $track->{name};
    my $files = $self->{crawl}{files};

    for my $path (grep { m{^\Q$name\E/} } sort keys %$files) {
        my @good;

        for my $r (@{ $files->{$path}{answers} }) {
            $self->count('files');

            if ($r->{status} == 200) {
                media_headers($self, $path, $r);
                push @good, $r;

            } else {
                missing($self, $track, $path, $r);
            }
        }

        my ($first, @more) = @good;

        for my $r (@more) {
            $self->count('files again');
            $self->bad($path, 'HLS-17', 'other bytes than before')
                if $r->{body} ne $first->{body};
            $self->bad($path, 'HTTP-25', 'another ETag than before')
                if etag($r) ne etag($first);
        }
    }
}


sub missing {
    my ($self, $track, $path, $r) = @_;

    my $why = $r->{why} // '';
    my ($uri) = $path =~ m{^[^/]+/(.*)};

    # what will not come (again) is known to be late (HTTP-14)
    $self->error_headers($path, "answers $r->{status}", $r)
        if $r->{status} && $why ne 'again'
           && ($why ne 'hinted' || listed($track, $uri));

    if ($why eq 'hinted') {
        # that it never came is found out otherwise; and an end is an end
        return unless listed($track, $uri);
        return if $r->{status} == 503 && $r->{done} - $r->{started} >= 3;

        # nor is anybody held who asks while there is no publisher (HLS-61),
        # though another one may go on with this very name
        return if $r->{status} == 404 && $self->away($r);
    }

    $self->bad($path, { hinted => 'HLS-65', again => 'HLS-17' }->{$why}
                      || 'HLS-48', "answers $r->{status}, $why $r->{error}");
}


# As a part that has media.
sub listed {
    my ($track, $uri) = @_;

    return scalar grep { $_ && $_->{URI} eq $uri && !$_->{GAP} }
                  map { @$_ } values %{ $track->{parts} };
}


sub etag { return Test::Live::Check::header($_[0], 'etag') }


sub media_headers {
    my ($self, $path, $r) = @_;

    my $control = Test::Live::Check::header($r, 'cache-control');
    my $type = Test::Live::Check::header($r, 'content-type');

    $self->bad($path, 'HTTP-8', "Cache-Control \"$control\"")
        unless $control =~ /\bpublic\b/ && $control =~ /\bimmutable\b/
               && $control =~ /\bmax-age=31536000\b/;
    $self->bad($path, 'HTTP-25', 'no strong ETag: ' . etag($r))
        unless etag($r) =~ /^"[^"]+"$/;
    $self->bad($path, 'HLS-92', "Content-Type $type")
        unless $type =~ m{^(?:(?:video|audio)/mp4|video/iso\.segment)$};
    $self->bad($path, 'HTTP-8', 'no Content-Length, or another one')
        unless $r->{progressive}
               || Test::Live::Check::header($r, 'content-length')
                  eq length $r->{body};
    $self->bad($path, 'HTTP-8', 'no Accept-Ranges: bytes')
        unless $r->{progressive}
               || Test::Live::Check::header($r, 'accept-ranges') eq 'bytes';
    $self->cors($path, $r);
}


# The bytes of a file, undef where it was not fetched (in time).
sub bytes {
    my ($self, $track, $uri) = @_;

    my $file = $self->{crawl}{files}{"$track->{name}/$uri"} or return undef;

    for my $r (@{ $file->{answers} }) {
        return $r->{body} if $r->{status} == 200 && !$r->{truncated};
    }

    return undef;
}


# --- init segments ------------------------------------------------------------

sub inits {
    my ($self, $track) = @_;

    for my $segment (values %{ $track->{segments} }) {
        my $uri = $segment->{map};

        next if !defined $uri || $track->{inits}{$uri};

        my $bytes = bytes($self, $track, $uri) // next;
        my $init = $track->{inits}{$uri} = Test::Live::MP4->init($bytes);

        $self->count('inits');
        $self->bad("$track->{name}/$uri", split /: /, $_, 2)
            for @{ $init->{errors} };
    }
}


# --- segments -----------------------------------------------------------------

sub segments {
    my ($self, $track, $offsets) = @_;

    my $independent = grep { $_->{p}{independent} } @{ $track->{versions} };
    my ($before, $before_msn);

    for my $msn (sort { $a <=> $b } keys %{ $track->{segments} }) {
        my $segment = $track->{segments}{$msn};
        my $init = $track->{inits}{$segment->{map} // ''};

        next if !$segment->{complete} || ($segment->{gap} || 'none') ne 'none';

        my $bytes = bytes($self, $track, $segment->{uri});

        unless (defined $bytes && $init) {
            $before = undef;
            next;
        }

        my $where = "$track->{name}/$segment->{uri}";
        my $mp4 = Test::Live::MP4->segment($bytes);

        $self->count('segments');
        $self->bad($where, split /: /, $_, 2)
            for grep { $independent || !/^CMAF-13/ } @{ $mp4->{errors} };
        $segment->{mp4} = $mp4;

        next unless @{ $mp4->{samples} };

        $self->bad($where, split /: /, $_, 2)
            for follows($segment, $mp4, $before, $before_msn, $msn);

        lasts($self, $where, $segment, ($mp4->{end} - $mp4->{start})
              / $init->{timescale}, last_gaps($track, $msn));
        on_clock($self, $where, $segment, $mp4, $init->{timescale}, $offsets);
        concatenation($self, $track, $msn, $bytes);

        ($before, $before_msn) = ($mp4, $msn);
    }
}


# CMAF-14
sub follows {
    my ($segment, $mp4, $before, $before_msn, $msn) = @_;

    return () if !$before || $before_msn != $msn - 1
                 || ($segment->{discontinuity} || 'none') ne 'none';

    return Test::Live::MP4::join_errors($before, $mp4);
}


# Seconds of the parts without media at the end of a segment, behind which time
# does not go on: what had been announced of an end may be longer than it.  EXTINF
# has them, for it is the sum of the parts (HLS-52); samples before them that were
# served cannot be made longer any more (HLS-17).
sub last_gaps {
    my ($track, $msn) = @_;

    my $next = $track->{segments}{$msn + 1};

    return 0 if $next && $next->{complete}
                && ($next->{discontinuity} || 'none') eq 'none'
                && ($next->{gap} || 'none') eq 'none';

    my $sum = 0;

    for my $part (reverse @{ $track->{parts}{$msn} || [] }) {
        last unless $part && $part->{GAP};
        $sum += $part->{DURATION};
    }

    return $sum;
}


# HLS-10: EXTINF is what the samples last, but for its rounding.
sub lasts {
    my ($self, $where, $segment, $duration, $gaps) = @_;

    my ($digits) = $segment->{duration} =~ /\.(\d+)/;
    my $most = 2 * 10 ** -length($digits // '') + 1e-6;
    my $off = $segment->{duration} - $duration;

    $self->bad($where, 'HLS-10', "EXTINF $segment->{duration} for $duration s")
        if abs $off > $most && abs($off - $gaps) > $most + 0.001;
}


# HLS-21: PROGRAM-DATE-TIME is an anchor and the time of the samples, but for
# the clock of the encoder, which it may be corrected for by 100 ppm.
sub on_clock {
    my ($self, $where, $segment, $mp4, $scale, $offsets) = @_;

    return if ($segment->{pdt} // 'none') eq 'none';

    my $first = $mp4->{samples}[0];
    my $offset = $segment->{pdt} - ($first->{dts} + $first->{cts}) / $scale;
    my $known = $offsets->{$segment->{dsn}} //= $offset;
    my $since = $offsets->{"$segment->{dsn} since"} //= $segment->{pdt};
    my $slack = 0.0012 + 1e-4 * abs($segment->{pdt} - $since);

    $self->bad($where, 'HLS-21', sprintf 'dated %.4f s off the time of its '
                                         . 'samples', $offset - $known)
        if abs($offset - $known) > $slack;
}


# All renditions have the same anchor.
sub one_clock {
    my ($self, $offsets) = @_;

    my ($first, @others) = sort keys %$offsets;

    for my $name (@others) {
        for my $dsn (sort { $a <=> $b } grep { /^\d+$/ }
                     keys %{ $offsets->{$name} })
        {
            my $a = $offsets->{$first}{$dsn} // next;
            my $off = $a - $offsets->{$name}{$dsn};

            $self->bad("$first, $name", 'HLS-21', sprintf
                       'dates of DSN %s are %.4f s apart', $dsn, $off)
                if abs $off > 0.0022;
        }
    }
}


# --- parts --------------------------------------------------------------------

# HLS-67; the last parts before an end may never have been listed.
sub concatenation {
    my ($self, $track, $msn, $bytes) = @_;

    my @parts = @{ $track->{parts}{$msn} || [] } or return;
    my $whole = $track->{segments}{$msn}{parts};
    my @bytes = map { $_->{GAP} ? '' : bytes($self, $track, $_->{URI}) }
                grep { defined } @parts;

    return if grep { !defined } @bytes;

    my $joined = join '', @bytes;

    $self->count('concatenations');
    $self->bad("$track->{name}/$msn", 'HLS-67', 'parts of ' . length($joined)
               . ' bytes are not the segment of ' . length $bytes)
        if index($bytes, $joined) != 0
           || $whole && length $joined != length $bytes;
}


sub all_parts {
    my ($self, $track) = @_;

    my $end;

    for my $msn (sort { $a <=> $b } keys %{ $track->{parts} }) {
        my $segment = $track->{segments}{$msn};
        my $init = $track->{inits}{$segment->{map} // ''} or next;

        $end = undef if ($segment->{discontinuity} || 'none') ne 'none'
                        || !$track->{parts}{$msn - 1};

        my @parts = @{ $track->{parts}{$msn} };
        my $last = last_gaps($track, $msn);

        for my $i (0 .. $#parts) {
            next if !$parts[$i] || $parts[$i]{GAP};

            my $bytes = bytes($self, $track, $parts[$i]{URI});

            $end = defined $bytes ? part($self, $track, $parts[$i], $bytes,
                                         $init, $end, gaps(@parts[$i + 1
                                             .. $#parts]), $last)
                                  : undef;
        }

        $end = undef if $last;
    }
}


# Seconds of the parts without media that parts begin with.
sub gaps {
    my (@parts) = @_;

    my $sum = 0;

    while (@parts && $parts[0] && $parts[0]{GAP}) {
        $sum += (shift @parts)->{DURATION};
    }

    return $sum;
}


# Returns where it ends, in ticks.
sub part {
    my ($self, $track, $part, $bytes, $init, $end, $gaps, $last) = @_;

    my $where = "$track->{name}/$part->{URI}";
    my $mp4 = Test::Live::MP4->segment($bytes);

    $self->count('parts');
    $self->bad($where, split /: /, $_, 2)
        for grep { !/^CMAF-13/ } @{ $mp4->{errors} };

    return undef unless @{ $mp4->{samples} };

    $self->bad($where, 'CMAF-14', "starts at $mp4->{start}, not at $end")
        if defined $end && $mp4->{start} != $end;

    my $off = ($part->{DURATION} || 0)
              - ($mp4->{end} - $mp4->{start}) / $init->{timescale};

    # no part may be longer than the target (HLS-50): where media were lost the
    # sample before them lasts on through parts that have none
    $off += $gaps if $gaps && (abs $off > 0.001 || !$last);

    $self->bad($where, 'HLS-52', "DURATION is $off s off")
        if abs $off > 0.001;

    my $sync = grep { $_->{sync} } @{ $mp4->{samples} };

    $self->bad($where, 'HLS-52', 'INDEPENDENT without a sync sample')
        if $part->{INDEPENDENT} && !$sync;
    $self->bad($where, 'HLS-52', 'not INDEPENDENT with a sync sample')
        if !$part->{INDEPENDENT} && $mp4->{samples}[0]{sync}
           && $init->{handler} eq 'vide';

    return $mp4->{end};
}


1;
