package Test::Live::Soak::Player;

# Follows all media playlists of one stream for ever, as a player that believes
# what it is told, and asks for every segment that they list.
#
#     my $player = Test::Live::Soak::Player->new(loop => $loop,
#         base => '/live/a', judge => $judge, kind => 'poll');
#     $player->start();
#
# kind: 'poll', 'block' (low latency), or 'ts' (the MPEG-TS playlist alone).
# judge answers bad(WHERE, TEXT), count(WHAT), excused(ANSWER): whether what is
# wrong with an answer came of something that was done to the server; steady(
# BASE, SECONDS): the stream has had a publisher for so long, undisturbed;
# halted(BASE, TIME): its publisher has left out media since then.

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use Test::Live::M3U8;
use Test::Live::MP4;
use Test::Live::TS;
use Time::HiRes qw/ time /;

# Seconds: between polls; until a stream with a publisher is there; a steady
# stream's playlist grows.
my ($POLL, $APPEARS, $GROWS) = (0.8, 6, 12);


sub new {
    my ($class, %option) = @_;

    return bless { %option, tracks => {} }, $class;
}


sub start {
    my ($self) = @_;

    return $self->track('ts') if $self->{kind} eq 'ts';

    $self->multivariant();
}


# Asks for nothing more.
sub stop { $_[0]{stopped} = 1 }


sub bad {
    my ($self, $where, $text) = @_;

    $self->{judge}->bad("$self->{base}/$where", $text);
}


# Sub gets answers that say something; others are asked for again.
sub get {
    my ($self, $path, $then, %option) = @_;

    return if $self->{stopped};

    $self->{loop}->get("$self->{base}/$path", sub {
        my ($r) = @_;

        if ($r->{status} && !$r->{truncated}) {
            $self->{judge}->count('answers');
            return $then->($r);
        }

        $self->bad($path, "$r->{status} $r->{error}"
                          . ($r->{truncated} ? ' truncated' : ''))
            unless $self->{judge}->excused($r);

        # as players do
        $self->{loop}->after(0.3, sub { $self->get($path, $then, %option) })
            unless $option{tries} && $option{tries}++ > 5;
    });
}


# --- playlists ----------------------------------------------------------------

sub multivariant {
    my ($self) = @_;

    $self->get('playlist.m3u8', sub {
        my ($r) = @_;

        $self->{loop}->after(3, sub { $self->multivariant() });

        return $self->missing('playlist.m3u8', $r) if $r->{status} != 200;

        my $p = Test::Live::M3U8->parse($r->{body});

        $self->bad('playlist.m3u8', $_) for @{ $p->{errors} };
        $self->{judge}->count('multivariant playlists');

        for my $uri ((map { $_->{uri} } @{ $p->{variants} }),
                     map { $_->{URI} || () } @{ $p->{media} })
        {
            my ($name) = $uri =~ m{^([^/]+)/playlist\.m3u8$};

            $self->track($name) if $name && !$self->{tracks}{$name};
        }
    });
}


# What is not there must not be missed.
sub missing {
    my ($self, $path, $r) = @_;

    return $self->{judge}->count('not there')
        if $r->{status} == 404 && !$self->{judge}->steady($self->{base},
                                                          $APPEARS)
           || $r->{status} == 503
              && !$self->{judge}->steady($self->{base}, 2 * $APPEARS);

    $self->bad($path, "answers $r->{status} though there is a publisher");
}


sub track {
    my ($self, $name) = @_;

    $self->{tracks}{$name} = { name => $name, sums => {}, grown => time() };
    $self->poll($self->{tracks}{$name});
}


sub poll {
    my ($self, $track) = @_;

    my $last = $track->{last};
    my $query = '';

    if ($self->{kind} eq 'block' && $last && !$last->{endlist}
        && $last->hint())
    {
        $query = "?_HLS_msn=$last->{open}{msn}&_HLS_part="
                 . @{ $last->{open}{parts} };
    }

    $self->get("$track->{name}/playlist.m3u8$query", sub {
        my ($r) = @_;

        my $wait = $POLL;

        if ($r->{status} == 200) {
            $wait = 0.02 if $self->version($track, $r) && $query;

        } elsif ($r->{status} == 400 && $query) {
            # another life of the stream
            $track->{last} = undef;

        } else {
            $self->missing("$track->{name}/playlist.m3u8", $r);
            $track->{grown} = time();
        }

        $self->{loop}->after($wait, sub { $self->poll($track) });
    });
}


# True when something is new.
sub version {
    my ($self, $track, $r) = @_;

    my $where = "$track->{name}/playlist.m3u8";
    my $same = ($track->{text} // '') eq $r->{body};

    $self->{judge}->count('playlists');
    $self->grows($track, $same);

    return 0 if $same;

    my $p = Test::Live::M3U8->parse($r->{body});

    $self->bad($where, $_) for @{ $p->{errors} };

    my $last = $self->life($track, $p);

    if ($last) {
        $self->bad($where, $_) for $p->changes_since($last);
        $self->bad($where, 'HLS-11: from ' . $last->last_msn()
                           . " to $p->{sequence}")
            if $p->{sequence} > $last->last_msn() + 1;
    }

    @$track{qw/ text last /} = ($r->{body}, $p);
    $self->segments($track, $p);

    return 1;
}


# The version before, when it is of the same life of the stream.
sub life {
    my ($self, $track, $p) = @_;

    my $last = $track->{last} or return undef;
    my ($was, $is) = map { my ($e) = ($_->{map} // $_->{segments}[-1]{uri}
                                      // '') =~ /^(?:init|seg)-([^-]+)-/;
                           $e // '' } $last, $p;

    return $last if $was eq $is;

    $self->{judge}->count('new lives of a stream');
    $self->bad("$track->{name}/playlist.m3u8", "epoch $was became $is while "
               . 'there was a publisher')
        if !$last->{endlist} && $self->{judge}->steady($self->{base}, 3);

    delete @$track{qw/ before sums /};

    return undef;
}


sub grows {
    my ($self, $track, $same) = @_;

    if (!$same || !$self->{judge}->steady($self->{base}, $GROWS)) {
        $track->{grown} = time();

    } elsif (time() - $track->{grown} > $GROWS) {
        $self->bad($track->{name}, 'HLS-15: nothing new in '
                   . int(time() - $track->{grown}) . ' s');
        $track->{grown} = time();
    }
}


# --- segments -----------------------------------------------------------------

sub segments {
    my ($self, $track, $p) = @_;

    for my $segment (@{ $p->{segments} }) {
        next if $segment->{gap} || $track->{sums}{$segment->{uri}};

        $track->{sums}{$segment->{uri}} = 'asked';
        $self->fetch($track, $segment, $p);
    }

    # one that was read before is what it was
    my ($old) = grep { !$_->{gap} } @{ $p->{segments} };

    $self->fetch($track, $old, $p) if $old && rand() < 0.1;

    # what is long gone is not asked for again
    my %listed = map { $_->{uri} => 1 } @{ $p->{segments} };

    delete @{ $track->{sums} }{ grep { !$listed{$_} }
                                keys %{ $track->{sums} } };
}


sub fetch {
    my ($self, $track, $segment, $p) = @_;

    my $path = "$track->{name}/$segment->{uri}";
    my $seen = time();

    $self->get($path, sub {
        my ($r) = @_;

        if ($r->{status} != 200) {
            # listed until now, it stays for a while (HLS-17)
            my $gone = ($track->{last} || $p)->{sequence} > $segment->{msn}
                       || time() - $seen > 5;

            $self->bad($path, "answers $r->{status}, it is listed")
                unless $gone || !$self->{judge}->steady($self->{base}, 3);
            return;
        }

        my $sum = md5_hex($r->{body});
        my $known = $track->{sums}{$segment->{uri}};

        if ($known && $known ne 'asked') {
            $self->{judge}->count('segments read again');
            $self->bad($path, 'HLS-17: other bytes than before')
                if $known ne $sum;
            return;
        }

        $track->{sums}{$segment->{uri}} = $sum if $known;
        $self->judge_segment($track, $segment, $r->{body}, $path);
    }, tries => 1);
}


sub judge_segment {
    my ($self, $track, $segment, $bytes, $path) = @_;

    my $ts = $self->{kind} eq 'ts';
    my $media = $ts ? Test::Live::TS->segment($bytes, key => 0)
                    : Test::Live::MP4->segment($bytes);
    my $before = $track->{before};

    $self->{judge}->count($ts ? 'segments of MPEG-TS' : 'segments');

    $self->bad($path, $_) for @{ $media->{errors} };

    # fetched at the same time, they come in any order; sound that was not sent
    # is not there, and MPEG-TS cannot say that a frame lasts longer
    my $hole = $ts && $self->{judge}->halted($self->{base}, time() - 40);

    if ($before && $before->{dsn} == $segment->{dsn}
        && $before->{msn} + 1 == $segment->{msn}
        && $self->{judge}->steady($self->{base}, 6))
    {
        $self->{judge}->count('joins');
        $self->bad($path, $_) for $ts
            ? grep { !$hole || !/^HLS-86: audio begins \d/ }
              Test::Live::TS::join_errors($before->{media}, $media)
            : Test::Live::MP4::join_errors($before->{media}, $media);
    }

    $track->{before} = { media => slim($media, $ts), msn => $segment->{msn},
                         dsn => $segment->{dsn} };
}


# Without the bytes of samples.
sub slim {
    my ($media, $ts) = @_;

    return $media if $ts;

    delete $_->{data} for @{ $media->{samples} || [] };

    return $media;
}


1;
