package Test::Live::Hook;

# A server that callbacks are sent to.
#
#     my $hook = Test::Live::Hook->new($t, 8090);     # PORT_8090
#     on_publish http://127.0.0.1:%%PORT_8090%%/allow;
#     $hook->requests();                  # { path, headers, body, fields, ... }
#
# What it answers follows from the path's first part; the rest is free:
#
#     allow, zero, json       200 with nothing, with 0, with {"code":0}
#     status/N                that status
#     body/HEX                200 with that body
#     rename/NAME             302 with that Location
#     slow/SECONDS            200 after that time
#     switch/FILE             what that file of the test's folder says:
#                             "STATUS BODY"
#     huge                    a body without end
#     head                    a header without end
#     trickle                 a byte of the body a second
#     loop                    302 to itself
#     html                    200, a page
#     close, half, junk       no answer; half of one; one that is not HTTP

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use Time::HiRes qw/ time sleep /;


sub new {
    my ($class, $t, $port) = @_;

    my $self = bless { t => $t, file => "hook.$port", port => $t->port($port) },
                     $class;

    $self->start();

    return $self;
}


sub start {
    my ($self) = @_;

    my $t = $self->{t};

    $self->{pid} = $t->spawn($^X, '-I' . $t->root() . '/t/lib',
                             '-MTest::Live::Hook', '-e',
                             'Test::Live::Hook::serve(@ARGV)', $self->{port},
                             $t->dir(), $t->dir() . "/$self->{file}");

    $t->wait_for(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                             PeerPort => $self->{port}) },
                 10, 'callback server') or die "no callback server\n";
}


sub stop {
    my ($self) = @_;

    $self->{t}->end($self->{pid});
}


# Those that match all of these, a form's or JSON's fields or "path".
sub requests {
    my ($self, %match) = @_;

    # the last line may be on its way
    my @requests = map { decode_json($_) }
                   ($self->{t}->read_file($self->{file}) // '') =~ /^(.+)\n/mg;

    for my $key (keys %match) {
        @requests = grep { ($key eq 'path' ? $_->{path}
                                           : $_->{fields}{$key} // '')
                           =~ /^(?:$match{$key})$/ } @requests;
    }

    return @requests;
}


# The same, when there are so many.
sub wait_requests {
    my ($self, $n, %match) = @_;

    my @requests;

    $self->{t}->wait_for(sub { @requests = $self->requests(%match);
                               @requests >= $n }, 20,
                         "$n callbacks " . join ' ', %match);

    return @requests;
}


# --- the server ---------------------------------------------------------------

my (%clients, %later, $dir, $log);

sub serve {
    my ($port, $folder, $file) = @_;

    $dir = $folder;
    $SIG{PIPE} = 'IGNORE';

    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 512,
                                       LocalPort => $port, ReuseAddr => 1)
        or die "port $port: $!\n";
    my $select = IO::Select->new($listen);

    open $log, '>>', $file or die "$file: $!\n";
    $log->autoflush(1);

    while (1) {
        for my $socket ($select->can_read(0.02)) {
            if ($socket == $listen) {
                my $client = $listen->accept() or next;

                $client->blocking(0);
                $select->add($client);
                $clients{$client} = { socket => $client, in => '', out => '' };

            } elsif (!receive($clients{$socket})) {
                forget($select, $socket);
            }
        }

        for my $c (values %clients) {
            $c->{more}->($c) if $c->{more};

            if (length $c->{out} && (!$c->{at} || time() >= $c->{at})) {
                my $n = syswrite $c->{socket}, $c->{out};

                substr($c->{out}, 0, $n) = '' if $n;
                forget($select, $c->{socket}) if !defined $n && !$!{EAGAIN};
            }

            forget($select, $c->{socket})
                if $c->{end} && !length $c->{out} && !$c->{more};
        }
    }
}


sub forget {
    my ($select, $socket) = @_;

    $select->remove($socket);
    delete $clients{$socket};
    close $socket;
}


sub receive {
    my ($c) = @_;

    my $n = sysread $c->{socket}, $c->{in}, 65536, length $c->{in};

    return $!{EAGAIN} unless defined $n;
    return 0 unless $n;

    while ($c->{in} =~ /^(\w+) (\S+) HTTP[^\r\n]*\r\n(.*?\r\n)\r\n/s) {
        my ($method, $path, $head, $length) = ($1, $2, $3, $+[0]);
        my %headers = map { lc($_->[0]) => $_->[1] }
                      map { [ split /:\s*/, $_, 2 ] } split /\r\n/, $head;
        my $size = $headers{'content-length'} || 0;

        last if length($c->{in}) < $length + $size;

        my $body = substr $c->{in}, $length, $size;

        substr($c->{in}, 0, $length + $size) = '';

        print $log encode_json({ method => $method, path => $path,
                                 headers => \%headers, body => $body,
                                 fields => fields($body), time => time() }),
                   "\n";
        answer($c, split m{/}, substr $path =~ s/\?.*//r, 1);
    }

    return 1;
}


sub fields {
    my ($body) = @_;

    return decode_json($body) if $body =~ /^\{/;

    my %fields;

    for (split /&/, $body) {
        my ($name, $value) = split /=/, $_, 2;

        $value = '' unless defined $value;
        $value =~ s/%([0-9a-f]{2})/chr hex $1/gei;
        $fields{$name} = $value;
    }

    return \%fields;
}


sub answer {
    my ($c, $kind, $what) = @_;

    my %ready = (allow => '', zero => '0', json => '{"code":0,"data":null}',
                 slow => '0', html => '<html><body>Welcome</body></html>');

    $kind = 'allow' unless defined $kind;

    if (exists $ready{$kind}) {
        $c->{out} .= http(200, $ready{$kind}, $kind eq 'html' ? 'text/html'
                                                              : undef);
        $c->{at} = time() + $what if $kind eq 'slow';

    } elsif ($kind eq 'status') {
        $c->{out} .= http($what, 'x');

    } elsif ($kind eq 'body') {
        $c->{out} .= http(200, pack 'H*', $what);

    } elsif ($kind eq 'rename') {
        $c->{out} .= http(302, '', undef, "Location: $what\r\n");

    } elsif ($kind eq 'loop') {
        $c->{out} .= http(302, '', undef, "Location: /loop\r\n");

    } elsif ($kind eq 'switch') {
        my $text = '';

        # it is being written
        while ($text !~ / /) {
            open my $fh, '<', "$dir/$what" or die "$what: $!\n";
            $text = join '', <$fh>;
        }

        $c->{out} .= http(split / /, $text, 2);

    } elsif ($kind eq 'huge') {
        $c->{out} .= "HTTP/1.1 200 OK\r\n\r\n";
        $c->{more} = sub { $_[0]{out} .= 'x' x 65536
                               if length $_[0]{out} < 65536 };

    } elsif ($kind eq 'head') {
        $c->{out} .= "HTTP/1.1 200 OK\r\n";
        $c->{more} = sub { $_[0]{out} .= 'X-More: ' . 'x' x 8000 . "\r\n"
                               if length $_[0]{out} < 65536 };

    } elsif ($kind eq 'trickle') {
        my $next = time();

        $c->{out} .= "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
        $c->{more} = sub { return if time() < $next;
                           $next = time() + 1;
                           $_[0]{out} .= '0' };

    } elsif ($kind eq 'half') {
        $c->{out} .= "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n0";
        $c->{end} = 1;

    } elsif ($kind eq 'junk') {
        $c->{out} .= "\x16\x03\x01 \x00\xff\x1b[31m nothing of HTTP\r\n\r\n" x 9;
        $c->{end} = 1;

    } else {
        $c->{end} = 1;
    }
}


sub http {
    my ($status, $body, $type, $more) = @_;

    $body = '' unless defined $body;
    $type = 'text/plain' unless defined $type;
    $more = '' unless defined $more;

    return "HTTP/1.1 $status Status\r\nContent-Type: $type\r\n${more}"
         . 'Content-Length: ' . length($body) . "\r\n\r\n$body";
}


1;
