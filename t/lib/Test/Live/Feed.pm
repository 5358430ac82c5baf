package Test::Live::Feed;

# Publishers in real time, several in one process.
#
#     my $feed = Test::Live::Feed->new($client, $tags);   # RTMP.pm, flv_tags()
#     Test::Live::Feed::run(10, sub { ... }, $feed, $other);
#
# The tags are sent over and over, each when its time has come.  run() sends
# for the feeds until the sub returns true, and returns what it did, or for so
# many seconds.  messages() are those that the server has sent meanwhile.

use strict;
use warnings;

use Time::HiRes qw/ time sleep /;


# Options: skip (ms of the clip that are left out), offset (of timestamps).
sub new {
    my ($class, $client, $tags, %option) = @_;

    my @media = grep { $_->{type} != 18 } @$tags;
    my $last = (sort { $a <=> $b } map { $_->{timestamp} } @media)[-1];

    my $self = bless {
        client => $client, tags => \@media, next => 0, messages => [],
        begin => time(), offset => $option{offset} || 0, add => 0,
        # a whole number of seconds, as clips are
        length => 1000 * int(($last || 0) / 1000 + 0.5),
    }, $class;

    $client->send_tags([ grep { $_->{type} == 18 } @$tags ]);

    if (my $skip = $option{skip}) {
        my @headers = grep { $_->{payload} =~ /\A.\x00/s } @media;

        $client->send_tags([ @headers[0 .. 1] ], $self->{offset});
        $self->{next}++ while $media[$self->{next}]{timestamp} < $skip;
        $self->{begin} -= $skip / 1000;
    }

    return $self;
}


sub client { return $_[0]{client} }

sub messages { return @{ $_[0]{messages} } }


# The info objects of onStatus so far.
sub statuses {
    my ($self) = @_;

    return map { $_->{values}[3] }
           grep { $_->{values} && $_->{values}[0] eq 'onStatus' }
           $self->messages();
}


sub status {
    my ($self, $code) = @_;

    return (grep { $_->{code} eq $code } $self->statuses())[0];
}


# Sends what is due.  False when the connection is closed.
sub send_due {
    my ($self) = @_;

    my $client = $self->{client};

    while (!$client->{closed}) {
        my $tag = $self->{tags}[$self->{next}] or last;

        last if ($tag->{timestamp} + $self->{add}) / 1000
                > time() - $self->{begin};

        $client->send_tags([ $tag ], $self->{offset} + $self->{add});

        if (++$self->{next} == @{ $self->{tags} }) {
            $self->{next} = 0;
            $self->{add} += $self->{length};
        }
    }

    my $bits = '';
    vec($bits, fileno $client->socket(), 1) = 1;

    # also what came before the connection was closed

    while (!$self->{over}
           && ($client->{in} ne ''
               || select(my $ready = $bits, undef, undef, 0) > 0))
    {
        if (my $message = $client->read_message(1)) {
            push @{ $self->{messages} }, $message;
        } else {
            $self->{over} = $client->{closed};
            last;
        }
    }

    return !$client->{closed};
}


sub run {
    my ($seconds, $until, @feeds) = @_;

    my $end = time() + $seconds;
    my $look = 0;

    while (time() < $end) {
        $_->send_due() for @feeds;

        if (time() > $look) {
            my $result = $until->();

            return $result if $result;
            $look = time() + 0.1;
        }

        sleep 0.005;
    }

    return 0;
}


1;
