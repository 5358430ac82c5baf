package Test::Live::Loop;

# Many HTTP requests at the same time, each answered to a sub, and timers.
#
#     my $loop = Test::Live::Loop->new(port => $t->port(8080));
#     $loop->get('/live/x/playlist.m3u8', sub { my ($r) = @_; ... });
#     $loop->after(0.5, sub { ... });
#     $loop->run(sub { $done }, 30);          # true when the sub was
#
# An answer: { path, status, headers, body, truncated, error, started, head
# (when its header was there), done, bursts => [ [ time, bytes of the body so
# far, chunk sizes not taken off ], ... ] }; times are Unix times.

use strict;
use warnings;

use IO::Socket::INET;
use Test::Live;
use Time::HiRes qw/ time /;


sub new {
    my ($class, %option) = @_;

    return bless { port => $option{port}, open => {}, timers => [],
                   serial => 0 }, $class;
}


# Options: timeout (30), headers (a list of pairs).
sub get {
    my ($self, $path, $done, %option) = @_;

    my %r = (path => $path, started => time(), bursts => [], raw => '',
             done_sub => $done, id => ++$self->{serial});

    $r{deadline} = $r{started} + ($option{timeout} || 30);
    $r{out} = Test::Live::request($path, $self->{port},
                                  headers => $option{headers} || []);

    $r{socket} = IO::Socket::INET->new(
        PeerAddr => "127.0.0.1:$self->{port}", Timeout => 5);

    unless ($r{socket}) {
        $self->after(0, sub { $self->end(\%r, "cannot connect: $!") });
        return;
    }

    $r{socket}->blocking(0);
    $self->{open}{fileno $r{socket}} = \%r;

    # at once: a worker that shuts down waits a minute for one that never comes,
    # as when nobody calls run() any more

    local $SIG{PIPE} = 'IGNORE';

    $self->send_request(\%r);
}


sub after {
    my ($self, $seconds, $sub) = @_;

    my $timers = $self->{timers};

    push @$timers, { time => time() + $seconds, sub => $sub };
    @$timers = sort { $a->{time} <=> $b->{time} } @$timers;
}


sub pending { return scalar keys %{ $_[0]{open} } }


# Until the sub returns true, at most that many seconds.
sub run {
    my ($self, $until, $seconds) = @_;

    my $end = time() + $seconds;

    local $SIG{PIPE} = 'IGNORE';

    while (!$until->()) {
        return 0 if time() >= $end;
        $self->step($end);
    }

    return 1;
}


sub step {
    my ($self, $end) = @_;

    my $wake = min($end, time() + 0.2);

    $wake = min($wake, $self->{timers}[0]{time}) if @{ $self->{timers} };

    my ($in, $out) = ('', '');

    for my $fd (keys %{ $self->{open} }) {
        vec($in, $fd, 1) = 1;
        vec($out, $fd, 1) = 1 if length $self->{open}{$fd}{out};
    }

    my $wait = $wake - time();

    select $in, $out, undef, $wait > 0 ? $wait : 0;

    for my $fd (keys %{ $self->{open} }) {
        my $r = $self->{open}{$fd} or next;

        $self->send_request($r) if vec($out, $fd, 1);
        $self->receive($r) if vec($in, $fd, 1);
        $self->end($r, 'timed out') if !$r->{done} && time() > $r->{deadline};
    }

    while (@{ $self->{timers} } && $self->{timers}[0]{time} <= time()) {
        (shift @{ $self->{timers} })->{sub}->();
    }
}


sub send_request {
    my ($self, $r) = @_;

    my $n = syswrite $r->{socket}, $r->{out};

    substr($r->{out}, 0, $n) = '' if $n;
}


sub receive {
    my ($self, $r) = @_;

    return if $r->{done};

    my $n = sysread $r->{socket}, $r->{raw}, 65536, length $r->{raw};

    return if !defined $n && $!{EAGAIN};

    if ($n) {
        my $head = index $r->{raw}, "\r\n\r\n";

        $r->{head} //= time() if $head >= 0;
        push @{ $r->{bursts} }, [ time(), length($r->{raw}) - $head - 4 ]
            if $head >= 0;
        return;
    }

    $self->end($r);
}


sub end {
    my ($self, $r, $error) = @_;

    if ($r->{socket}) {
        delete $self->{open}{fileno $r->{socket}};
        close delete $r->{socket};
    }

    my $parsed = $error ? Test::Live::failed($error)
                        : Test::Live::response($r->{raw}, 'GET');

    my %answer = (%$parsed, map { $_ => $r->{$_} } qw/ path started bursts /);

    delete $answer{raw};
    $r->{done} = $answer{done} = time();
    $answer{head} = $r->{head} // $answer{done};
    $r->{done_sub}->(\%answer);
}


# Forgets what is still under way; its subs are not called.
sub drop {
    my ($self) = @_;

    close $_->{socket} for values %{ $self->{open} };
    $self->{open} = {};
    $self->{timers} = [];
}


sub min { return $_[0] < $_[1] ? $_[0] : $_[1] }


1;
