package Test::Live::Crawl::HLS;

# Follows every media playlist of a stream as strict low-latency players do,
# all at the same time, and keeps what it got:
#
#     my $crawl = Test::Live::Crawl::HLS->new(loop => $loop, base => '/live/x');
#     $crawl->start();
#     $loop->run(sub { $crawl->ended() }, 20);
#     $crawl->stop();
#     my $result = $crawl->check();           # see Test::Live::Check::HLS
#     $crawl->dump($dir);                     # all versions and files
#
# For each playlist one player blocks on the next part, every other time for
# a delta update, one blocks on the next segment, and one polls.  Every
# init segment, part (as soon as it is hinted) and segment is fetched, and
# once more when the playlist does not list it any more.

use strict;
use warnings;

use File::Path qw/ make_path /;
use Test::Live::Check::HLS;
use Test::Live::M3U8;
use Time::HiRes qw/ time /;

# Seconds between two polls.
my $poll = 0.4;


sub new {
    my ($class, %option) = @_;

    return bless {
        loop => $option{loop}, base => $option{base}, playlists => {},
        files => {}, multivariant => [], followed => {}, running => 0,
        media => $option{media} // 1, state => {},
    }, $class;
}


sub start {
    my ($self) = @_;

    $self->{running} = 1;
    $self->{started} = time();
    $self->multivariant();
}


# No request is made after this; those under way are waited for, but for what
# is held.
sub stop {
    my ($self) = @_;

    my $loop = $self->{loop};

    $self->{running} = 0;
    $loop->run(sub { !$self->{fetching} }, 5);
    $self->{stopped} = time();
}


# All playlists that were found have ended and all files are there.
sub ended {
    my ($self) = @_;

    my @states = values %{ $self->{state} };

    return @states && !$self->{fetching} && !grep { !$_->{ended} } @states;
}


sub check {
    my ($self, %option) = @_;

    return Test::Live::Check::HLS->check({ %$self, %option });
}


# --- the multivariant playlist ------------------------------------------------

sub multivariant {
    my ($self) = @_;

    return unless $self->{running};

    $self->{loop}->get("$self->{base}/playlist.m3u8", sub {
        my ($r) = @_;

        my $again = 2;

        if ($r->{status} == 200) {
            push @{ $self->{multivariant} }, $r;
            $self->found(Test::Live::M3U8->parse($r->{body}));

        } elsif (!@{ $self->{multivariant} }) {
            $again = 0.1;

        } else {
            push @{ $self->{multivariant} }, $r;
        }

        $self->{loop}->after($again, sub { $self->multivariant() });
    });
}


sub found {
    my ($self, $playlist) = @_;

    my @uris = ((map { $_->{uri} } @{ $playlist->{variants} }),
                (map { $_->{URI} || () } @{ $playlist->{media} }));

    for my $uri (@uris) {
        my ($name) = $uri =~ m{^([^/]+)/playlist\.m3u8$} or next;

        next if $self->{followed}{$name}++;

        $self->{playlists}{$name} = [];
        $self->{state}{$name} = { ended => 0, listed => {}, turn => 0 };
        $self->poll($name);
        $self->follow($name);
        $self->follow_segments($name);
    }
}


# --- media playlists ----------------------------------------------------------

# Asks for a version; the sub gets the playlist, undef when there is none.
sub ask {
    my ($self, $name, $query, $then) = @_;

    return unless $self->{running};

    my %q = map { /^(\w+)=(.*)/ } split /&/, $query;
    my $path = "$self->{base}/$name/playlist.m3u8"
               . ($query eq '' ? '' : "?$query");

    $self->{loop}->get($path, sub {
        my ($r) = @_;

        # what was held when all was over says nothing
        return unless $self->{running};

        $r->{msn} = $q{_HLS_msn};
        $r->{part} = $q{_HLS_part};
        $r->{skip} = $q{_HLS_skip};
        push @{ $self->{playlists}{$name} }, $r;

        my $playlist = $r->{status} == 200
                       ? Test::Live::M3U8->parse($r->{body}) : undef;

        $r->{playlist} = $playlist;
        $self->seen($name, $playlist) if $playlist;
        $then->($playlist);
    });
}


sub again {
    my ($self, $seconds, $sub) = @_;

    $self->{loop}->after($seconds, $sub) if $self->{running};
}


sub poll {
    my ($self, $name) = @_;

    $self->ask($name, '', sub {
        $self->again($poll, sub { $self->poll($name) })
            unless $self->{state}{$name}{ended};
    });
}


# As hls.js does: the part after the last one, or part 0 of the next segment.
sub follow {
    my ($self, $name, $last) = @_;

    my $state = $self->{state}{$name};
    my $query = '';

    return if $state->{ended};

    if ($last && blocks($last)) {
        my $open = $last->{open};

        $query = "_HLS_msn=$open->{msn}";
        $query .= '&_HLS_part=' . scalar @{ $open->{parts} }
            if defined $last->{part_target};
        $query .= '&_HLS_skip=YES' if $state->{turn}++ % 2;
    }

    $self->ask($name, $query, sub {
        my ($playlist) = @_;

        my $wait = advanced($last, $playlist) ? 0 : $poll;

        $self->again($wait, sub { $self->follow($name, $playlist || $last) });
    });
}


sub follow_segments {
    my ($self, $name, $last) = @_;

    return if $self->{state}{$name}{ended};

    my $query = $last && blocks($last) ? "_HLS_msn=$last->{open}{msn}" : '';

    $self->ask($name, $query, sub {
        my ($playlist) = @_;

        my $wait = advanced($last, $playlist) ? 0 : 2 * $poll;

        $self->again($wait, sub {
            $self->follow_segments($name, $playlist || $last);
        });
    });
}


# Something came, so that the next request will be held.
sub advanced {
    my ($last, $playlist) = @_;

    return 0 unless $playlist && blocks($playlist);
    return 1 unless $last;

    my ($a, $b) = map { [ $_->{open}{msn}, scalar @{ $_->{open}{parts} } ] }
                  $last, $playlist;

    return "@$a" ne "@$b";
}


sub blocks {
    my ($playlist) = @_;

    return (($playlist->{server_control} || {})->{'CAN-BLOCK-RELOAD'} // '')
           eq 'YES';
}


# --- files --------------------------------------------------------------------

sub seen {
    my ($self, $name, $playlist) = @_;

    my $state = $self->{state}{$name};

    $state->{ended} = 1 if $playlist->{endlist};
    $self->gone($name, $playlist);

    return unless $self->{media};

    for my $segment (@{ $playlist->{segments} }, $playlist->{open}) {
        $self->fetch($name, $segment->{map}) if defined $segment->{map};
        $self->fetch($name, $_->{URI})
            for grep { !$_->{GAP} && $_->{URI} } @{ $segment->{parts} };
        $self->fetch($name, $segment->{uri})
            if defined $segment->{uri} && !$segment->{gap};
    }

    $self->fetch($name, $_->{URI}, 'hinted')
        for grep { $_->{URI} } @{ $playlist->{hints} };
}


# What has left the playlist is fetched once more: now, and just before it may
# go (HLS-17).
sub gone {
    my ($self, $name, $playlist) = @_;

    my $state = $self->{state}{$name};
    my $listed = $state->{listed};
    my $length = 0;

    for my $segment (@{ $playlist->{segments} }) {
        my %uris = map { $_ => 1 } grep { defined } $segment->{uri},
                   map { $_->{GAP} ? () : $_->{URI} } @{ $segment->{parts} };

        $length += $segment->{duration};
        next if $segment->{gap};

        my $was = $listed->{$segment->{msn}} ||= {
            first => time(), duration => $segment->{duration}, parts => 0 };

        $was->{uri} = $segment->{uri};
        $was->{parts} ||= [ map { $_->{GAP} ? () : $_->{URI} }
                            @{ $segment->{parts} } ];
        delete $was->{parts} unless @{ $was->{parts} };

        next unless $was->{parts} && !@{ $segment->{parts} };

        # HLS-17: parts stay for three target durations
        my @parts = @{ delete $was->{parts} };
        my $left = 3 * $playlist->{target} - 1;

        $self->again($left, sub {
            $self->fetch($name, $_, 'again') for $parts[0], $parts[-1];
        });
    }

    $state->{longest} = $length if $length > ($state->{longest} || 0);

    for my $msn (grep { $_ < $playlist->{sequence} } keys %$listed) {
        my $was = delete $listed->{$msn};
        my $left = $was->{first} + $was->{duration} + $state->{longest} - 1
                   - time();

        $self->fetch($name, $was->{uri}, 'again');
        $self->again($left, sub { $self->fetch($name, $was->{uri}, 'again') })
            if $left > 0;
    }
}


# why: hinted (it may be held), again, or nothing.
sub fetch {
    my ($self, $name, $uri, $why) = @_;

    return unless $self->{running};

    my $path = "$name/$uri";
    my $file = $self->{files}{$path} ||= { answers => [], asked => 0 };

    return if $file->{asked} && ($why // '') ne 'again';

    $file->{asked}++;
    $self->{fetching}++ unless ($why // '') eq 'hinted';

    $self->{loop}->get("$self->{base}/$path", sub {
        my ($r) = @_;

        $r->{why} = $why // '';

        if ($r->{why} eq 'hinted') {
            # a player would ask for it again when it is listed
            $file->{asked} = 0 unless $r->{status} == 200;
            return if $r->{status} != 200 && !$self->{running};

        } else {
            $self->{fetching}--;
        }

        push @{ $file->{answers} }, $r;
    });
}


# --- for other programs -------------------------------------------------------

# Writes all versions and files below a folder, under names that keep their
# order.
sub dump {
    my ($self, $dir) = @_;

    for my $name (sort keys %{ $self->{playlists} }) {
        my $n = 0;
        my %known;

        for my $r (grep { $_->{status} == 200 }
                   @{ $self->{playlists}{$name} })
        {
            next if $known{$r->{body}}++;
            write_file(sprintf('%s/%s/playlist-%05d.m3u8', $dir, $name, $n++),
                       $r->{body});
        }
    }

    my ($last) = grep { $_->{status} == 200 } reverse @{$self->{multivariant}};
    write_file("$dir/multivariant.m3u8", $last->{body}) if $last;

    for my $path (sort keys %{ $self->{files} }) {
        my ($r) = grep { $_->{status} == 200 }
                  @{ $self->{files}{$path}{answers} } or next;

        write_file("$dir/$path", $r->{body});
    }
}


sub write_file {
    my ($path, $bytes) = @_;

    my ($dir) = $path =~ m{^(.*)/};

    make_path($dir);
    open my $out, '>:raw', $path or die "cannot write $path: $!\n";
    print $out $bytes;
    close $out or die "cannot write $path: $!\n";
}


1;
