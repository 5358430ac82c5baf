package Test::Live::Crawl::DASH;

# Plays a manifest as a player does that believes every word of it, and keeps
# what it got:
#
#     my $crawl = Test::Live::Crawl::DASH->new(loop => $loop, base => '/live/x');
#     $crawl->start();
#     $loop->run(sub { $crawl->ended() }, 20);
#     $crawl->stop();
#     my $result = $crawl->check(hls => $tracks);
#
# Segments of a SegmentTimeline are asked for as soon as they are listed, those
# of a grid at the moment that the manifest announces, and once more when they
# must be complete (Test::Live::Check::DASH).

use strict;
use warnings;

use Test::Live::Check::DASH;
use Test::Live::Crawl::HLS;
use Test::Live::MPD;
use Time::HiRes qw/ time /;

# Seconds between two manifests.
my $poll = 0.5;


sub new {
    my ($class, %option) = @_;

    return bless {
        loop => $option{loop}, base => $option{base}, mpds => [], files => {},
        times => [], running => 0, fetching => 0, wanted => {},
    }, $class;
}


sub start {
    my ($self) = @_;

    $self->{running} = 1;
    $self->manifest();
}


sub stop {
    my ($self) = @_;

    $self->{running} = 0;
    $self->{loop}->run(sub { $self->{fetching} <= 0 }, 5);
}


sub ended {
    my ($self) = @_;

    return $self->{over} && $self->{fetching} <= 0;
}


sub check {
    my ($self, %option) = @_;

    return Test::Live::Check::DASH->check({ %$self, %option });
}


sub manifest {
    my ($self) = @_;

    return unless $self->{running};

    $self->{loop}->get("$self->{base}/manifest.mpd", sub {
        my ($r) = @_;

        my $there = grep { $_->{status} == 200 } @{ $self->{mpds} };

        push @{ $self->{mpds} }, $r if $r->{status} == 200 || $there;
        $self->seen(Test::Live::MPD->parse($r->{body})) if $r->{status} == 200;

        $self->{loop}->after($there || $r->{status} == 200 ? $poll : 0.1,
                             sub { $self->manifest() })
            unless $self->{over};
    });
}


sub seen {
    my ($self, $mpd) = @_;

    return unless $self->{running} && $mpd->is_usable();

    $self->clock($mpd);

    my @periods = @{ $mpd->{periods} };

    for my $i (0 .. $#periods) {
        my $period = $periods[$i];

        for my $rep (map { @{ $_->{reps} } } @{ $period->{sets} }) {
            next unless $rep->{template}{found};

            $self->fetch(Test::Live::MPD::uri($rep), why => 'init');

            if ($rep->{template}{timeline}) {
                $self->listed($mpd, $period, $rep);
            } else {
                $self->on_grid($mpd, $period, $periods[$i + 1], $rep);
            }
        }
    }

    $self->{over} = 1 if $mpd->{type} eq 'static';
}


# UTCTiming: asked for now and then.
sub clock {
    my ($self, $mpd) = @_;

    my ($utc) = grep { $_->{scheme} =~ /:http-(?:xsdate|iso):/ }
                @{ $mpd->{utc} } or return;

    return if ($self->{clock} // 0) > time() - 2;

    $self->{clock} = time();

    my $path = $utc->{value} =~ m{^/} ? $utc->{value}
                                      : "$self->{base}/$utc->{value}";

    $path =~ s{[^/]+/\.\./}{}g;
    $self->{loop}->get($path, sub { push @{ $self->{times} }, $_[0] });
}


sub listed {
    my ($self, $mpd, $period, $rep) = @_;

    for my $s (@{ $rep->{template}{timeline} }) {
        $self->fetch(Test::Live::MPD::uri($rep, $s->{number}, $s->{t}),
                     why => 'listed', period => $period->{id},
                     number => $s->{number}, rep => $rep->{id});
    }
}


# The oldest that is in the window, and each of the coming seconds at its time.
sub on_grid {
    my ($self, $mpd, $period, $next, $rep) = @_;

    my $t = $rep->{template};
    my $d = $t->{duration} / $t->{timescale};
    my $zero = $mpd->{ast} + $period->{start};
    my $now = time();
    my $end = defined $period->{duration} ? $period->{duration}
              : $next ? $next->{start} - $period->{start}
              : defined $mpd->{duration} ? $mpd->{duration} - $period->{start}
              : 9e9;
    my $oldest = int(($now - $mpd->{depth} - $zero) / $d) + 1;

    $oldest = 0 if $oldest < 0;

    for my $k ($oldest, int(($now - $zero) / $d) - 2 .. int(($now + 3 - $zero)
                                                            / $d))
    {
        my $at = $zero + ($k + 1) * $d - $t->{ato};

        # a Period may be a little longer than its grid says
        next if $k < 0 || ($k + 0.5) * $d > $end;
        next if $now > $at + $d && $k != $oldest;

        my $number = $t->{start_number} + $k;

        $self->fetch(Test::Live::MPD::uri($rep, $number), at => $at,
                     why => $now > $at + $d ? 'oldest' : 'announced',
                     period => $period->{id}, number => $number,
                     rep => $rep->{id}, offset => $k * $d);
    }
}


# Once; those that are announced at their time, and once more later, or when
# they are listed where they were not there in time.
sub fetch {
    my ($self, $uri, %what) = @_;

    return if $self->{wanted}{$uri}++
              && !($what{why} eq 'listed' && delete $self->{late}{$uri});

    my $wait = ($what{at} // 0) - time();

    return $self->request($uri, %what) if $wait <= 0;

    # not a tick before
    $self->{loop}->after($wait + 0.001, sub { $self->request($uri, %what) });
}


sub request {
    my ($self, $uri, %what) = @_;

    return unless $self->{running};

    $self->{fetching}++;

    $self->{loop}->get("$self->{base}/$uri", sub {
        my ($r) = @_;

        $self->{fetching}--;

        my %r = (%$r, %what);

        $r{progressive} = 1 if ($r->{headers}{'transfer-encoding'} // '')
                               eq 'chunked';
        push @{ $self->{files}{$uri}{answers} }, \%r;
        $self->{late}{$uri} = 1
            if $what{why} eq 'announced' && $r->{status} != 200;

        $self->{loop}->after(0.7, sub {
            $self->request($uri, %what, why => 'again');
        }) if $what{why} eq 'announced' && $r->{status} == 200;
    });
}


sub dump {
    my ($self, $dir) = @_;

    my (%known, $n);

    for my $r (grep { $_->{status} == 200 } @{ $self->{mpds} }) {
        next if $known{$r->{body}}++;

        Test::Live::Crawl::HLS::write_file(
            sprintf('%s/manifest-%05d.mpd', $dir, $n++ // 0), $r->{body});
    }

    for my $uri (sort keys %{ $self->{files} }) {
        my ($r) = grep { $_->{status} == 200 }
                  @{ $self->{files}{$uri}{answers} } or next;

        Test::Live::Crawl::HLS::write_file("$dir/$uri", $r->{body});
    }
}


1;
