package Test::Live::Check::DASH;

# Judges what a player of DASH was given over a time: every version of the
# manifest, and every file.  Nothing is fetched here.
#
#     my $result = Test::Live::Check::DASH->check($crawl);
#     # { violations => [ 'DASH-2: ...' ], timing => [ ... ], counts => { } }
#
# $crawl: { mpds => [ answer, ... ], files => { URI => { answers => [ answer, ...
# ] } }, times => [ answer, ... ] of UTCTiming, hls => tracks of
# Test::Live::Check::HLS }; a file's answer has why (init, listed, announced,
# oldest, again), at (when it was announced), period, number and rep.

use strict;
use warnings;

use parent 'Test::Live::Check';

use Test::Live::Check::Media;
use Test::Live::MP4;
use Test::Live::MPD;


sub check {
    my ($class, $crawl) = @_;

    my $self = $class->new($crawl);

    $self->{versions} = [];

    $self->version($_) for @{ $crawl->{mpds} };
    $self->count('versions', scalar @{ $self->{versions} });
    $self->publish_times();
    $self->sequence();
    $self->clock();
    $self->files();
    $self->media();
    $self->continuity();

    return { map { $_ => $self->{$_} } qw/ violations timing counts / };
}


sub version {
    my ($self, $r) = @_;

    if ($r->{status} != 200) {
        $self->error_headers('mpd', "answers $r->{status}", $r);
        $self->bad('mpd', 'DASH-37', "answers $r->{status}");
        return;
    }

    my $mpd = Test::Live::MPD->parse($r->{body});
    my $age = Test::Live::Check::max_age($r);
    my $type = Test::Live::Check::header($r, 'content-type');
    my $etag = Test::Live::Check::header($r, 'etag');
    my $over = $mpd->{type} eq 'static' || !defined $mpd->{mup};

    $self->bad('mpd', split /: /, $_, 2) for @{ $mpd->{errors} };
    $self->bad('mpd', 'DASH-13', "Content-Type $type")
        unless $type =~ m{^application/dash\+xml\b};
    $self->bad('mpd', 'HTTP-12', 'max-age ' . ($age // 'none'))
        if !$age || !$over && $age > 1 + ($mpd->{mup} // 0) / 2;
    $self->bad('mpd', 'HTTP-25', 'no ETag') if $etag eq '';
    $self->cors('mpd', $r);

    push @{ $self->{versions} }, { r => $r, mpd => $mpd }
        if $mpd->is_usable();
}


# DASH-9: publishTime grows when the text changes, and only then.
sub publish_times {
    my ($self) = @_;

    my $before;

    for my $v (@{ $self->{versions} }) {
        my ($is, $was) = ($v, $before);

        $before = $v;
        next unless $was;

        my $same = $is->{r}{body} eq $was->{r}{body};
        my ($a, $b) = map { $_->{mpd}{publish} // 0 } $was, $is;
        my ($e, $f) = map { Test::Live::Check::header($_->{r}, 'etag') }
                      $was, $is;

        $self->bad('mpd', 'DASH-9', 'publishTime did not grow') if !$same
                                                                && $b <= $a;
        $self->bad('mpd', 'DASH-9', 'publishTime grew alone')
            if !$same && without_time($is) eq without_time($was);
        $self->bad('mpd', 'HTTP-25', 'the ETag changes with nothing, or not')
            if $same != ($e eq $f);
    }
}


sub without_time {
    my ($v) = @_;

    (my $text = $v->{r}{body}) =~ s/publishTime="[^"]*"//;

    return $text;
}


# --- from version to version --------------------------------------------------

sub sequence {
    my ($self) = @_;

    my ($ast, $over, $before, %periods);

    for my $v (@{ $self->{versions} }) {
        my $mpd = $v->{mpd};

        $ast //= $mpd->{ast};

        $self->bad('mpd', 'DASH-2', "availabilityStartTime $ast became "
                                    . $mpd->{ast})
            if defined $mpd->{ast} && defined $ast && $mpd->{ast} != $ast;
        $self->bad('mpd', 'DASH-37', 'it is dynamic again')
            if $over && $mpd->{type} ne 'static';

        $over ||= $mpd->{type} eq 'static';

        $self->update_rate($mpd);
        $self->period($_, \%periods, $v) for @{ $mpd->{periods} };
        $self->order($before, $v, \%periods) if $before;
        $before = $v;
    }

    $self->{ast} = $ast;
    $self->{periods} = \%periods;
}


# DASH-10, DASH-53
sub update_rate {
    my ($self, $mpd) = @_;

    return if !defined $mpd->{mup} || !@{ $mpd->{periods} };

    my $rep = $mpd->{periods}[-1]{sets}[0]{reps}[0] or return;
    my $t = $rep->{template};
    my $d = ($t->{timeline} ? ($t->{timeline}[-1] || {})->{d} : $t->{duration})
            // return;

    # that of a segment, give or take a frame; where there is no need of news, it
    # is only a matter of load
    $self->bad('mpd', $t->{timeline} ? 'DASH-10' : 'DASH-53',
               "minimumUpdatePeriod $mpd->{mup} s, segments of "
               . $d / $t->{timescale} . ' s')
        if $t->{timeline} ? $mpd->{mup} > $mpd->{longest} + 0.1
                          : $mpd->{mup} < 1;
}


# What is known of a Period stays so (DASH-2, 16, 25, 30).
sub period {
    my ($self, $period, $known, $v) = @_;

    my $id = $period->{id} // '';
    my $old = $known->{$id};
    my @shape = map { my $s = $_; [ "set $s->{id}", map { "rep $_->{id}" }
                                                    @{ $s->{reps} } ] }
                @{ $period->{sets} };
    my $shape = join ', ', map { "@$_" } @shape;

    $known->{$id} = $old = { start => $period->{start}, shape => $shape,
                             reps => {} } unless $old;

    # a static manifest starts where its media does
    $self->bad('mpd', 'DASH-2', "Period $id started at $old->{start}, now at "
                                . ($period->{start} // 'none'))
        if $v->{mpd}{type} eq 'dynamic'
           && ($period->{start} // -1) != ($old->{start} // -1);
    $self->bad('mpd', 'DASH-16', "Period $id had $old->{shape}, has $shape")
        if $old->{shape} ne $shape;

    $old->{seen} = $v->{r}{done};

    for my $rep (map { @{ $_->{reps} } } @{ $period->{sets} }) {
        $self->template($id, $period, $rep, $old->{reps}{$rep->{id}} ||= {},
                        $v);
    }
}


sub template {
    my ($self, $id, $period, $rep, $old, $v) = @_;

    my $t = $rep->{template};
    my $where = "Period $id $rep->{id}";
    my $live = $v->{mpd}{type} eq 'dynamic';

    # the end may turn a grid into a timeline, but not move it
    my %is = (timescale => $t->{timescale});

    %is = (%is, pto => $t->{pto}, media => $t->{media} // '',
           initialization => $t->{initialization} // '') if $live;
    %is = (%is, start_number => $t->{start_number}, duration => $t->{duration})
        if $live && defined $t->{duration};

    for my $field (sort keys %is) {
        $old->{$field} //= $is{$field};
        $self->bad('mpd', $field eq 'pto' ? 'DASH-31' : 'DASH-25',
                   "$where: $field was $old->{$field}, is $is{$field}")
            if $old->{$field} ne $is{$field};
    }

    # what maps the time of samples to that of the manifest
    $old->{zero} //= $period->{start} - $t->{pto} / $t->{timescale};

    $self->timeline($where, $t->{timeline}, $old) if $t->{timeline};
    $old->{template} = $t;
}


# DASH-25: appended at the end, removed at the beginning, and nothing else.
sub timeline {
    my ($self, $where, $list, $old) = @_;

    return $self->bad('mpd', 'DASH-24', "$where: an empty timeline")
        unless @$list;

    my ($first, $last) = map { $_->{number} } @$list[0, -1];

    $self->bad('mpd', 'DASH-25', "$where: $old->{last} is gone from the end")
        if defined $old->{last} && $last < $old->{last};
    $self->bad('mpd', 'DASH-25', "$where: $first is before $old->{first}")
        if defined $old->{first} && $first < $old->{first};

    for my $s (@$list) {
        my $was = $old->{listed}{$s->{number}} ||= $s;

        $self->bad('mpd', 'DASH-25', "$where: $s->{number} was at $was->{t} "
                   . "for $was->{d}, is at $s->{t} for $s->{d}")
            if $was->{t} != $s->{t} || $was->{d} != $s->{d};
    }

    @$old{qw/ first last /} = ($first, $last);
}


# DASH-33, DASH-34: Periods are appended, and removed when they are old.
sub order {
    my ($self, $before, $v, $known) = @_;

    my ($was, $is) = ($before->{mpd}, $v->{mpd});
    my @was = map { $_->{id} // '' } @{ $was->{periods} };
    my %is = map { ($_->{id} // '') => 1 } @{ $is->{periods} };
    my @left = grep { $is{$_} } @was;
    my @now = map { $_->{id} // '' } @{ $is->{periods} };

    $self->bad('mpd', 'DASH-34', "Periods @left are not in order any more")
        if "@left" ne join ' ', splice @now, 0, scalar @left;

    for my $i (0 .. $#was) {
        next if $is{$was[$i]};

        my $next = $was->{periods}[$i + 1];

        # what is removed must have ended, and the window must be past
        unless ($next) {
            $self->bad('mpd', 'DASH-33', "the last Period $was[$i] is gone");
            next;
        }

        next if !defined $was->{ast} || !defined $was->{depth};

        my $left = $was->{ast} + $next->{start} + $was->{depth}
                   - $v->{r}{done} - $self->ahead($v->{r}{done});

        $self->bad('mpd', 'DASH-33', "Period $was[$i] is removed $left s "
                                     . 'before it left the window')
            if $left > 0.1;
    }
}


# Seconds by which the timeline was ahead of the clock then: segments were there
# before their time was over, as when timestamps leap by less than a jump.  The
# window is counted in media; what is early at its one end is so at the other.
sub ahead {
    my ($self, $time) = @_;

    my $most = 0;

    for my $track (values %{ $self->{crawl}{hls} || {} }) {
        for my $segment (values %{ $track->{segments} }) {
            next if ($segment->{first} // 9e99) > $time
                    || ($segment->{pdt} // 'none') eq 'none';

            my $ahead = $segment->{pdt} + $segment->{duration}
                        - $segment->{first};

            $most = $ahead if $ahead > $most;
        }
    }

    return $most;
}


# --- the clock ----------------------------------------------------------------

# DASH-6, DASH-47: ms, not cached, and right: it is the same machine.
sub clock {
    my ($self) = @_;

    for my $r (@{ $self->{crawl}{times} }) {
        my $mpd = Test::Live::MPD->parse('');
        my $text = $r->{body};

        $text =~ s/\s+\z//;

        my $time = $r->{status} == 200 ? $mpd->date($text) : undef;

        $self->count('times');

        unless (defined $time) {
            $self->bad('time', 'DASH-6', "answers $r->{status} $text");
            next;
        }

        $self->bad('time', 'DASH-47', "no ms in $text")
            unless $text =~ /\.\d{3,}Z$/;
        $self->bad('time', 'DASH-6', 'it may be cached')
            unless Test::Live::Check::header($r, 'cache-control')
                   =~ /no-store/;
        $self->cors('time', $r);

        $self->bad('time', 'DASH-47', sprintf 'it is %s, asked from %.3f to '
                                      . '%.3f', $text, @$r{qw/ started done /})
            if $time < $r->{started} - 0.002 || $time > $r->{done} + 0.002;
    }
}


# --- files --------------------------------------------------------------------

sub files {
    my ($self) = @_;

    my $files = $self->{crawl}{files};

    for my $uri (sort keys %$files) {
        my $first;

        for my $r (@{ $files->{$uri}{answers} }) {
            $self->count('files');
            $self->count($r->{why});

            if ($r->{status} != 200 || $r->{truncated}) {
                $self->missing($uri, $r);
                next;
            }

            Test::Live::Check::Media::media_headers($self, $uri, $r)
                unless $r->{progressive};
            $self->progressive($uri, $r) if $r->{progressive};

            $first //= $r;

            $self->bad($uri, $first->{progressive} ? 'DASH-67' : 'DASH-28',
                       length($r->{body}) . ' bytes, were '
                       . length $first->{body})
                if $r->{body} ne $first->{body};
        }
    }
}


# DASH-48: as it came; it must not be taken for something complete.
sub progressive {
    my ($self, $uri, $r) = @_;

    $self->count('progressive');
    $self->cors($uri, $r);
    $self->bad($uri, 'DASH-48', 'Content-Length of what is not complete')
        if Test::Live::Check::header($r, 'content-length') ne '';

    my $mp4 = Test::Live::MP4->segment($r->{body});

    $self->bad($uri, 'DASH-44', 'one chunk only')
        if @{ $mp4->{chunks} } < 2
           && $r->{done} - $r->{started} > 0.5 && !$self->is_short($r);

    # how it came is a matter of timing
    my $bursts = 1;

    for my $i (1 .. $#{ $r->{bursts} }) {
        $bursts++ if $r->{bursts}[$i][0] - $r->{bursts}[$i - 1][0] > 0.02;
    }

    push @{ $self->{timing} }, "$uri: DASH-67: $bursts bursts, "
                               . @{ $mp4->{chunks} } . ' chunks'
        if $bursts > @{ $mp4->{chunks} } + 1;
    push @{ $self->{timing} }, sprintf '%s: DASH-49: the first byte after %.3f'
                               . ' s', $uri, $r->{head} - $r->{started}
        if $r->{head} - $r->{started} > 0.1;
}


# An interruption has ended it within its first part, and HLS says so: players
# cannot be given in two pieces what was less than one.
sub is_short {
    my ($self, $r) = @_;

    my $segment = $self->in_hls($r) or return 0;
    my $track = $self->{crawl}{hls}{$r->{rep}};
    my $next = $track->{segments}{$r->{number} + 1} || {};
    my @parts = grep { $_ } @{ $track->{parts}{$r->{number}} || [] };

    return 0 if (grep { !$_->{GAP} } @parts) != 1;

    # its publisher has lost the rest of it, or time does not go on behind it
    return @parts > 1 || !$next->{complete}
           || ($next->{discontinuity} || 'none') ne 'none'
           || ($next->{gap} || 'none') ne 'none';
}


my %missing = (announced => 'DASH-3', oldest => 'DASH-3', listed => 'DASH-29',
               again => 'DASH-28', init => 'DASH-29');

sub missing {
    my ($self, $uri, $r) = @_;

    # a manifest cannot say that nothing came (HLS-22): leaving it out of a list
    # would renumber what follows
    return if $r->{status} == 404 && $self->is_gap($r);

    # what breaks off has had the headers of what was to be whole (DASH-50)
    $self->error_headers($uri, "answers $r->{status}", $r)
        if $r->{status} && $r->{status} != 200;

    # what was announced of a grid may turn out to be behind the end
    return if $r->{why} eq 'announced'
              && ($self->is_over($r) || $self->is_late($r));

    # what was cut off with its publisher is complete a moment later, but for
    # that the next owner must have found the stream
    return if $r->{why} eq 'again' && $self->away($r)
              && $self->{crawl}{files}{$uri}{answers}[0]{truncated};

    $self->bad($uri, $missing{$r->{why}},
               sprintf '%s answers %s%s, %.3f s after it was announced',
                       $r->{why}, $r->{status},
                       $r->{truncated} ? ' and breaks off' : '',
                       $r->{started} - ($r->{at} // $r->{started}));
}


# What HLS says of the segment; undef when it is not known.
sub in_hls {
    my ($self, $r) = @_;

    my $track = ($self->{crawl}{hls} || {})->{$r->{rep} // ''} or return undef;

    return $track->{segments}{$r->{number} // -1};
}


sub is_gap {
    my ($self, $r) = @_;

    my $segment = $self->in_hls($r) or return 0;

    return ($segment->{gap} || 'none') ne 'none';
}


# What was sent for the number is of a later time than the grid had promised, by
# more than a grid allows (DASH-26): the publisher has lost what was to be there.
# It has sent nothing at all when it has gone.  Nobody can know that in time, so
# that there is a 404 of a second (HTTP-13), and a Period that ends (DASH-39).
sub is_late {
    my ($self, $r) = @_;

    my $known = $self->{periods}{$r->{period}} or return 0;
    my $rep = $known->{reps}{$r->{rep}};
    my $d = ($rep->{duration} || 0) / ($rep->{timescale} || 1);
    my $segment = $self->in_hls($r);

    return $self->away($r) if !$segment || ($segment->{pdt} // 'none') eq 'none';
    return $segment->{pdt} > $self->{ast} + $known->{start} + $r->{offset}
                             + $d / 2;
}


# There was no publisher for a part of the time that the request took.
sub away {
    my ($self, $r) = @_;

    return scalar grep { $r->{done} >= $_->[0] && $r->{started} <= $_->[1] }
                  @{ $self->{crawl}{away} || [] };
}


# The Period ended before the middle of the segment, or its end is not known.
sub is_over {
    my ($self, $r) = @_;

    my $last = $self->{versions}[-1] or return 0;
    my @periods = @{ $last->{mpd}{periods} };
    my ($i) = grep { $periods[$_]{id} eq $r->{period} } 0 .. $#periods;

    return 0 unless defined $i;

    my $start = $self->{periods}{$r->{period}}{start};
    my $end = defined $periods[$i]{duration} ? $periods[$i]{duration}
              : $i < $#periods ? $periods[$i + 1]{start} - $start
              : defined $last->{mpd}{duration}
              ? $self->end_of($last->{mpd}) - $start : return 0;
    # of the grid that it was, though it may end as a timeline
    my $rep = $self->{periods}{$r->{period}}{reps}{$r->{rep}};
    my $d = defined $rep->{duration} ? $rep->{duration} / $rep->{timescale}
                                     : 0.1;

    return $r->{offset} + $d / 2 > $end;
}


# mediaPresentationDuration counts from the first Period of a static manifest.
sub end_of {
    my ($self, $mpd) = @_;

    return $mpd->{duration};
}


# --- media --------------------------------------------------------------------

sub media {
    my ($self) = @_;

    my $files = $self->{crawl}{files};
    my %inits;

    for my $v (@{ $self->{versions} }) {
        for my $period (@{ $v->{mpd}{periods} }) {
            for my $rep (map { @{ $_->{reps} } } @{ $period->{sets} }) {
                next unless $rep->{template}{initialization};

                my $uri = Test::Live::MPD::uri($rep);
                my $bytes = good($files->{$uri}) // next;

                $inits{"$period->{id} $rep->{id}"} =
                    Test::Live::MP4->init($bytes);
            }
        }
    }

    for my $key (sort keys %inits) {
        my ($id, $rep) = split / /, $key;
        my $known = $self->{periods}{$id}{reps}{$rep};

        $self->bad($key, split /: /, $_, 2) for @{ $inits{$key}{errors} };
        $self->bad($key, 'DASH-20', "timescale $known->{timescale}, mdhd has "
                                    . $inits{$key}{timescale})
            if $known->{timescale} != $inits{$key}{timescale};
    }

    for my $uri (sort keys %$files) {
        my ($r) = @{ $files->{$uri}{answers} };

        next unless defined $r->{number};

        my $bytes = good($files->{$uri}) // next;

        # what was asked for as one of the grid may begin the next Period
        local $r->{period} = $self->owner($r) // next;
        my $init = $inits{"$r->{period} $r->{rep}"} or next;

        $self->segment($uri, $r, Test::Live::MP4->segment($bytes), $init);
    }
}


# The last Period that begins with this number or before.
sub owner {
    my ($self, $r) = @_;

    my ($owner, $most);

    for my $id (sort keys %{ $self->{periods} }) {
        my $known = $self->{periods}{$id}{reps}{$r->{rep}} or next;
        my $first = first_number($known);

        next if !defined $first || $first > $r->{number}
                || defined $most && $first < $most;

        ($owner, $most) = ($id, $first);
    }

    return $owner;
}


sub first_number {
    my ($known) = @_;

    my ($first) = sort { $a <=> $b } keys %{ $known->{listed} || {} };

    return $known->{start_number} // $first;
}


sub good {
    my ($file) = @_;

    for my $r (@{ ($file || {})->{answers} || [] }) {
        return $r->{body} if $r->{status} == 200 && !$r->{truncated};
    }

    return undef;
}


sub segment {
    my ($self, $uri, $r, $mp4, $init) = @_;

    $self->count('segments');
    $self->bad($uri, split /: /, $_, 2) for @{ $mp4->{errors} };

    return unless @{ $mp4->{samples} };

    my $period = $self->{periods}{$r->{period}};
    my $known = $period->{reps}{$r->{rep}};
    my $t = $known->{template};
    my $scale = $known->{timescale};
    my $s = $known->{listed}{$r->{number}};

    # DASH-27
    $self->bad($uri, 'DASH-27', "S\@t is $s->{t}, tfdt $mp4->{start}")
        if $s && $s->{t} != $mp4->{start};
    $self->bad($uri, 'DASH-24', "S\@d is $s->{d}, the samples last "
                                . ($mp4->{end} - $mp4->{start}))
        if $s && $s->{d} != $mp4->{end} - $mp4->{start};

    # DASH-26: it starts near to where the grid has it
    if (!$s && defined $known->{duration}) {
        my $nominal = ($r->{number} - $known->{start_number})
                      * $known->{duration} + $known->{pto};
        my $off = ($mp4->{start} - $nominal) / $known->{duration};

        $self->bad($uri, 'DASH-26', sprintf 'it starts %.2f segments off the '
                                            . 'grid', $off)
            if abs $off > 0.5;
    }

    my $time = $known->{zero} + $mp4->{start} / $scale;

    $known->{served}{$r->{number}} = { start => $time, uri => $uri,
        end => $known->{zero} + $mp4->{end} / $scale };

    $self->same_as_hls($uri, $r, $mp4, $known) if $self->{crawl}{hls};
}


# DASH-56, but for the clock of the encoder: where dates of HLS follow it a
# Period comes when they have moved by 40 ms, at 100 ppm.
sub same_as_hls {
    my ($self, $uri, $r, $mp4, $known) = @_;

    my $track = $self->{crawl}{hls}{$r->{rep}} or return;
    my $segment = $track->{segments}{$r->{number}} or return;

    # what was static from the first on has no clock
    return if ($segment->{pdt} // 'none') eq 'none' || !defined $self->{ast};

    my $first = $mp4->{samples}[0];
    my $time = $self->{ast} + $known->{zero}
               + ($first->{dts} + $first->{cts}) / $known->{timescale};
    my $moved = 1e-4 * abs($segment->{pdt} - ($self->{ast} // 0));

    $self->count('dates');
    $self->bad($uri, 'DASH-55', "HLS has $segment->{uri} at this number")
        if defined $segment->{uri} && $uri !~ m{/\Q$segment->{uri}\E$};
    $self->bad($uri, 'DASH-56', sprintf 'HLS dates it %.4f s later',
                                        $segment->{pdt} - $time)
        if abs($segment->{pdt} - $time) > 0.001 + ($moved < 0.04 ? $moved
                                                                 : 0.04);
}


# --- the timeline of the whole ------------------------------------------------

# DASH-30, DASH-31: a Period begins with its first samples, where the one
# before ends; and in all its Representations at the same moment.
sub continuity {
    my ($self) = @_;

    my $periods = $self->{periods};
    my @ids = sort { $periods->{$a}{start} <=> $periods->{$b}{start} }
              keys %$periods;
    my %end;

    $self->needed(@ids[$_ - 1, $_]) for 1 .. $#ids;
    $self->discontinuities() if $self->{crawl}{hls};

    for my $id (@ids) {
        my ($start, $reps) = @{ $periods->{$id} }{qw/ start reps /};

        for my $rep (sort keys %$reps) {
            my $known = $reps->{$rep};
            my $media = $known->{served} || {};
            my @numbers = sort { $a <=> $b } keys %$media;
            my $first = $known->{start_number}
                        // ($known->{template}{timeline}[0] || {})->{number};

            # PTO and start are one instant, to a frame of sound
            my $off = $known->{zero}
                      - ($reps->{(sort keys %$reps)[0]}{zero} // 0);

            $self->bad("Period $id $rep", 'DASH-31', "its clock is $off s off")
                if abs $off > 0.024;

            next unless @numbers;

            my $begin = $media->{$numbers[0]}{start};

            $self->bad("Period $id $rep", 'DASH-30', sprintf
                       'it has samples %.3f s before its start', $start - $begin)
                if $begin < $start - 0.05;
            $self->bad("Period $id $rep", 'DASH-30', sprintf
                       'its samples begin %.3f s after its start',
                       $begin - $start)
                if defined $first && $numbers[0] == ($known->{start_number}
                                                     // -1)
                   && $begin > $start + 0.05;
            $self->bad("Period $id $rep", 'DASH-30', sprintf
                       'it starts %.3f s before the end of the one before',
                       $end{$rep} - $start)
                if defined $end{$rep} && $start < $end{$rep} - 0.05;

            $self->joined($media, @numbers);
            $end{$rep} = $media->{$numbers[-1]}{end};
        }
    }
}


# DASH-30: what has no discontinuity and fits into the grid of the Period
# before, give or take a quarter of it, belongs there; some players cannot
# change from one to the next.  Half of it is what players must bear (DASH-26);
# but what is later than a quarter is not there when it is announced, which no
# availabilityTimeOffset can make good for a single segment (DASH-3).
sub needed {
    my ($self, $before, $id) = @_;

    my ($old, $new) = map { $self->{periods}{$_} } $before, $id;

    return unless $self->{crawl}{hls};

    for my $rep (sort keys %{ $new->{reps} }) {
        my ($a, $b) = map { $_->{reps}{$rep} } $old, $new;
        my $track = $self->{crawl}{hls}{$rep};
        my $served = $b->{served} || {};

        return if !$a || !$track || !defined $a->{duration} || !%$served;

        # it may begin with one that is not there
        return if (($track->{segments}{first_number($b)} || {})->{discontinuity}
                   // 'unknown') ne 'none';

        for my $number (keys %$served) {
            my $segment = $track->{segments}{$number} || {};
            my $d = $a->{duration} / $a->{timescale};
            my $off = $served->{$number}{start} - $old->{start}
                      - ($number - $a->{start_number}) * $d;
            my $over = $served->{$number}{end} - $served->{$number}{start} - $d;

            return if ($segment->{discontinuity} // 'unknown') ne 'none'
                      || $segment->{map} ne ($track->{segments}{
                         first_number($b) - 1} || {})->{map}
                      || abs $off > $d / 4
                      || $over > 0 && $off + $over > $d / 4;
        }
    }

    $self->bad("Period $id", 'DASH-30', "all of it fits into Period $before");
}


# DASH-35: a discontinuity of HLS begins a Period.
sub discontinuities {
    my ($self) = @_;

    my %first;

    for my $period (values %{ $self->{periods} }) {
        for my $rep (keys %{ $period->{reps} }) {
            my $number = first_number($period->{reps}{$rep}) // next;

            $first{$rep}{$number} = 1;
        }
    }

    for my $rep (sort keys %first) {
        my $track = $self->{crawl}{hls}{$rep} or next;
        my ($least) = sort { $a <=> $b } keys %{ $first{$rep} };

        for my $msn (sort { $a <=> $b } keys %{ $track->{segments} }) {
            my $segment = $track->{segments}{$msn};

            next if $msn < $least || ($segment->{discontinuity} // 'none')
                                     eq 'none' || !$self->known($rep, $msn);

            $self->count('discontinuities');
            $self->bad($rep, 'DASH-35', "no Period begins with $msn")
                unless $first{$rep}{$msn};
        }
    }
}


# The manifest had come as far when it was seen last: it lists a segment when all
# of its tracks have it, and was asked for now and then.
sub known {
    my ($self, $rep, $msn) = @_;

    return 1 if grep { (($_->{reps}{$rep} || {})->{last} // -1) >= $msn }
                values %{ $self->{periods} };

    my $asked = $self->{versions}[-1]{r}{started};

    for my $track (values %{ $self->{crawl}{hls} }) {
        my $first = ($track->{segments}{$msn} || {})->{first};

        return 0 if !defined $first || $first > $asked - 0.25;
    }

    return 1;
}


# DASH-66: no gap between segments that follow each other.
sub joined {
    my ($self, $media, @numbers) = @_;

    for my $i (1 .. $#numbers) {
        my ($a, $b) = @$media{ @numbers[$i - 1, $i] };

        next if $numbers[$i] != $numbers[$i - 1] + 1;

        $self->bad($b->{uri}, 'DASH-66', sprintf 'it starts %.6f s after the '
                   . 'end of the one before', $b->{start} - $a->{end})
            if abs($b->{start} - $a->{end}) > 1e-6;
    }
}


1;
