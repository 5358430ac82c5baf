package Test::Live::Steps;

# A publisher that goes on only when it is told to, and requests that are left
# waiting meanwhile.
#
#     my $p = Test::Live::Steps->publish($t, 'live/a', seconds => 20);
#
#     $p->upto(3000);                      # what is before 3 s of the clip
#     my $e = $p->edge('source');          # what the playlist lists now
#     my $q = ask($t, "$e->{path}?_HLS_msn=$e->{msn}");
#     settle($t);                          # nginx has read the request
#     ok(is_held($q), 'held');
#     $p->upto(5000);
#     is(answer($q)->{status}, 200, 'answered');

use strict;
use warnings;

use Exporter qw/ import /;
use IO::Socket::INET;
use Socket qw/ SO_RCVBUF SOL_SOCKET /;
use Test::Live;
use Test::Live::M3U8;
use Test::Live::RTMP;
use Time::HiRes qw/ time /;

our @EXPORT = qw/ ask settle is_held more answer /;


# --- the publisher ------------------------------------------------------------

# Connects and sends what comes before the first frame.  Options: those of
# Test::Live's clip(), and tags, of another publisher, which saves the reading.
sub publish {
    my ($class, $t, $url, %clip) = @_;

    my ($app, $name) = split m{/}, $url;
    my $tags = delete $clip{tags};

    $tags ||= Test::Live::RTMP::flv_tags(
        $t->clip(gop => 30, fps => 30, seconds => 60, %clip));

    my $client = Test::Live::RTMP->start(port => $t->port(1935),
                                         app => $app, name => $name);

    my $self = bless { t => $t, url => $url, name => $name, tags => $tags,
                       client => $client, next => 0, at => 0 }, $class;

    $self->{next}++ while $self->{next} < @$tags
                          && is_header($tags->[ $self->{next} ]);

    $client->send_tags([ @$tags[0 .. $self->{next} - 1] ])
        or die "cannot publish: " . $client->error() . "\n";

    return $self;
}


# Metadata and codec configurations.
sub is_header {
    my ($tag) = @_;

    return 1 if $tag->{type} == 18;

    return unpack('x C', $tag->{payload}) == 0;
}


# Sends the frames before that time of the clip, ms; they are published then.
sub upto {
    my ($self, $ms) = @_;

    my $tags = $self->{tags};
    my $first = $self->{next};

    $self->{next}++ while $self->{next} < @$tags
                          && $tags->[ $self->{next} ]{timestamp} < $ms;
    $self->{at} = $ms;

    return if $first == $self->{next};

    $self->{client}->send_tags([ @$tags[$first .. $self->{next} - 1] ])
        or die "cannot publish: " . $self->{client}->error() . "\n";

    $self->sync();
}


# What was sent has been published: the answer to a command comes behind it.
sub sync {
    my ($self) = @_;

    my $client = $self->{client};

    $client->result($client->command('_checkbw', undef))
        or die "the server is silent: " . $client->error() . "\n";
}


sub further {
    my ($self, $ms) = @_;

    $self->upto($self->{at} + $ms);
}


sub stop {
    my ($self) = @_;

    $self->{client}->stop($self->{name});
}


# Goes on, a fraction of a part at a time, until the sub is true.
sub until_true {
    my ($self, $sub, $most) = @_;

    my $end = $self->{at} + ($most || 10000);
    my $value;

    until ($value = $sub->()) {
        return undef if $self->{at} >= $end;
        $self->further(125);
    }

    return $value;
}


# A media playlist and its live edge: { path, msn (of what comes), parts (of
# that), last_parts (of the segment before), playlist, status, headers, body }.
sub edge {
    my ($self, $rendition, $query) = @_;

    my $base = "/$self->{url}/$rendition";
    my $r = $self->{t}->get("$base/playlist.m3u8" . ($query || ''));

    return edge_of($r, $base);
}


sub edge_of {
    my ($r, $base) = @_;

    my %edge = (%$r, base => $base, path => "$base/playlist.m3u8");

    return \%edge unless $r->{status} == 200;

    my $p = $edge{playlist} = Test::Live::M3U8->parse($r->{body});

    $edge{msn} = $p->{sequence} + ($p->{skipped} || 0)
                 + @{ $p->{segments} };
    $edge{parts} = @{ $p->{next}{parts} };
    $edge{last_parts} = @{ $p->{segments} }
                        ? @{ $p->{segments}[-1]{parts} } : 0;

    return \%edge;
}


# --- requests that wait -------------------------------------------------------

# Sends a request; options as those of Test::Live's get(), and rcvbuf.
sub ask {
    my ($t, $path, %option) = @_;

    my $port = $option{port} || $t->port(8080);
    my $socket = IO::Socket::INET->new(Proto => 'tcp') or die "socket: $!\n";

    setsockopt $socket, SOL_SOCKET, SO_RCVBUF, pack('I', $option{rcvbuf})
        if $option{rcvbuf};

    connect($socket, Socket::pack_sockaddr_in($port,
                     Socket::inet_aton('127.0.0.1')))
        or die "cannot connect to port $port: $!\n";

    syswrite $socket, Test::Live::request($path, $port, %option);

    return { socket => $socket, raw => '', done => 0, path => $path,
             method => $option{method} || 'GET' };
}


# Requests that were sent before this have been read and tried: nginx has
# taken and answered others since.  With one worker only.
sub settle {
    my ($t) = @_;

    for (1 .. 3) {
        my $r = $t->get('/live/x/time');
        $r->{status} == 200 or die "no answer to the time: $r->{raw}\n";
    }
}


sub readable {
    my ($q, $seconds) = @_;

    my $bits = '';

    vec($bits, fileno $q->{socket}, 1) = 1;

    return select($bits, undef, undef, $seconds) > 0;
}


# Nothing has come, not even an end.
sub is_held {
    my ($q) = @_;

    return $q->{raw} eq '' && !$q->{done} && !readable($q, 0);
}


# Reads until the sub, which gets the body so far, is true: whether it became
# so in time.
sub more {
    my ($q, $sub, $seconds) = @_;

    my $end = time() + ($seconds || 15);

    until ($sub->(body_so_far($q))) {
        my $left = $end - time();

        return 0 if $q->{done} || $left <= 0 || !readable($q, $left);
        receive($q);
    }

    return 1;
}


sub receive {
    my ($q) = @_;

    my $n = sysread $q->{socket}, $q->{raw}, 65536, length $q->{raw};

    $q->{done} = 1 unless $n;
}


sub body_so_far {
    my ($q) = @_;

    my ($head, $body) = $q->{raw} =~ /\A(.*?\r\n\r\n)(.*)\z/s or return '';

    return $body unless $head =~ /^Transfer-Encoding: chunked/mi;

    return (Test::Live::dechunk($body))[0];
}


# The whole response, as get() has it; status 0 when it does not end in time.
sub answer {
    my ($q, $seconds) = @_;

    my $end = time() + ($seconds || 15);

    until ($q->{done}) {
        my $left = $end - time();

        return Test::Live::failed('timed out', $q->{raw})
            if $left <= 0 || !readable($q, $left);
        receive($q);
    }

    return Test::Live::response($q->{raw}, $q->{method});
}


1;
