package Test::Live::Soak::Publisher;

# An encoder that misbehaves, in a process of its own until that is killed:
# it comes and goes, jumps in time, falls silent, changes its codecs, and leaves
# without a word.
#
#     my $pid = Test::Live::Soak::Publisher::start(
#         port => 1935, app => 'live', name => 'a', seed => 7, clips => [ ... ],
#         log => $path, calm => 20);
#
# clips are those of Test::Live::RTMP::flv_tags(), without metadata; calm is
# the mean of the seconds between two faults.  Each line of log: a Unix time,
# the stream and what it did there.

use strict;
use warnings;

use IO::Handle;
use POSIX ();
use Test::Live::RTMP;
use Time::HiRes qw/ time sleep /;


# What it does, how often in proportion.
my @faults = (
    [ 4, 'jump',   \&jump ],
    [ 3, 'stall',  \&stall ],
    [ 2, 'burst',  \&burst ],
    [ 1, 'silent', \&silent ],
    [ 3, 'change', \&change ],
    [ 2, 'repeat', \&repeat ],
    [ 1, 'rival',  \&rival ],
    [ 2, 'stop',   sub { leave($_[0], 'stop') } ],
    [ 2, 'close',  sub { leave($_[0], 'close') } ],
    [ 2, 'reset',  sub { leave($_[0], 'reset') } ],
);


sub start {
    my (%option) = @_;

    my $pid = fork() // die "cannot fork: $!\n";

    return $pid if $pid;

    setpgrp(0, 0);
    srand $option{seed};
    $SIG{TERM} = sub { POSIX::_exit(0) };

    open my $log, '>>', $option{log} or POSIX::_exit(1);
    $log->autoflush(1);

    my $self = { %option, out => $log, clip => 0 };

    while (1) {
        eval { session($self); 1 } or note_event($self, "error $@");
        sleep $self->{pause} // 0.3 + rand 1;
        delete $self->{pause};
    }
}


sub note_event {
    my ($self, $what) = @_;

    $what =~ s/\s+/ /g;
    printf { $self->{out} } "%.3f %s/%s %s\n", time(), @$self{qw/ app name /},
                            $what;
}


sub session {
    my ($self) = @_;

    my $client = $self->{client} = Test::Live::RTMP->start(
        port => $self->{port}, app => $self->{app}, name => $self->{name});

    note_event($self, 'begins');

    @$self{qw/ over begin shift next /} = (0, time(), 0, 0);
    $self->{fault} = time() + next_fault($self);

    while (!$self->{over} && !$client->{closed}) {
        send_due($self);
        listen_to($self);
        fault($self) if time() > $self->{fault};
        sleep 0.015;
    }

    note_event($self, $self->{over} ? 'ends' : 'lost');
    $client->close() if $client->{closed};
}


sub next_fault { return $_[0]{calm} * (0.3 + rand 1.4) }


# Tags whose time has come; a clip that is over begins again.
sub send_due {
    my ($self) = @_;

    while (!$self->{client}{closed}) {
        my $tags = $self->{clips}[$self->{clip}];
        my $tag = $tags->[$self->{next}];

        if (!$tag) {
            $self->{begin} += length_of($tags);
            $self->{shift} += 1000 * length_of($tags);
            $self->{next} = 0;
            next;
        }

        last if $tag->{timestamp} / 1000 > time() - $self->{begin};

        $self->{next}++;
        $self->{client}->send_tags([ $tag ], $self->{shift});
    }
}


# Whole seconds.
sub length_of {
    my ($tags) = @_;

    return int($tags->[-1]{timestamp} / 1000 + 0.999);
}


# Acknowledgements, pings, and that the server has had enough.
sub listen_to {
    my ($self) = @_;

    my $bits = '';

    vec($bits, fileno $self->{client}->socket(), 1) = 1;

    while ($self->{client}{in} ne ''
           || select(my $ready = $bits, undef, undef, 0) > 0)
    {
        $self->{client}->read_message(1) or last;
    }
}


sub fault {
    my ($self) = @_;

    my $sum = 0;

    $sum += $_->[0] for @faults;

    my $at = rand $sum;

    for my $fault (@faults) {
        $at -= $fault->[0];
        next if $at >= 0;

        note_event($self, $fault->[1]);
        $fault->[2]->($self);
        last;
    }

    $self->{fault} = time() + next_fault($self);
}


# --- faults -------------------------------------------------------------------

# Forward, back, and to where 32 bits end.
sub jump {
    my ($self) = @_;

    my @to = (5_000, 36_000_000, -3_000, -600_000,
              0xffffffff - 2_000 - $self->{shift}, -$self->{shift});

    $self->{shift} += $to[rand @to];
}


# Media of that time is lost.
sub stall {
    my ($self) = @_;

    my $seconds = 0.3 + rand 1.2;

    sleep $seconds;
    listen_to($self);

    my $tags = $self->{clips}[$self->{clip}];

    $self->{next}++ while $tags->[$self->{next}]
        && $tags->[$self->{next}]{timestamp} / 1000 < time() - $self->{begin};
}


# It comes later, all at once.
sub burst { sleep 0.3 + rand 1.2 }


# Longer than publish_timeout.
sub silent {
    my ($self) = @_;

    sleep 5;
    listen_to($self);
}


# Another picture and sound, from here on.
sub change {
    my ($self) = @_;

    my $now = 1000 * (time() - $self->{begin});

    $self->{clip} = ($self->{clip} + 1) % @{ $self->{clips} };
    $self->{begin} = time();
    $self->{shift} += int $now;
    $self->{next} = 0;
}


# The same sequence headers once more, as some encoders send them.
sub repeat {
    my ($self) = @_;

    my $tags = $self->{clips}[$self->{clip}];
    my $at = $self->{next} ? $tags->[$self->{next} - 1]{timestamp} : 0;

    $self->{client}->send_tags(
        [ map { +{ %$_, timestamp => $at } } @$tags[0, 1] ], $self->{shift});
}


# A second publisher of the same name is refused, unless this one is silent.
sub rival {
    my ($self) = @_;

    my $rival = Test::Live::RTMP->new(port => $self->{port}, timeout => 5);

    if ($rival->handshake() && $rival->connect($self->{app})) {
        my $info = $rival->publish($self->{name});

        # a worker may have been killed meanwhile
        note_event($self, "ACCEPTED $info->{code}")
            if $info && $info->{code} eq 'NetStream.Publish.Start'
               && !$self->{client}->is_closed(1);
    }

    $rival->close();
}


sub leave {
    my ($self, $how) = @_;

    $how eq 'stop' ? $self->{client}->stop($self->{name})
                   : $self->{client}->$how();

    $self->{over} = 1;

    # back in time, or when the stream has ended
    $self->{pause} = rand() < 0.6 ? rand 2 : 6 + rand 8;
}


1;
