package Test::Live::RTMP;

# A small RTMP client that writes what a test wants, also what is wrong.
#
#     my $c = Test::Live::RTMP->new(port => $t->port(1935));
#     $c->handshake();
#     $c->connect('live');                    # the _result's values
#     $c->publish('name');                    # the onStatus's info object
#     $c->set_chunk_size(4096);
#     $c->video(0, Test::Live::RTMP::avc_header($avcc));
#     $c->audio(21, "\xaf\x01$frame");
#     $c->close();
#
# Timestamps are ms.  Reading has a deadline (timeout => 10): a call that
# waited in vain, or whose peer has closed, returns undef and error() says
# why.  is_closed() tells whether the peer has closed.

use strict;
use warnings;

use IO::Socket::INET;
use Scalar::Util qw/ looks_like_number weaken /;
use Time::HiRes qw/ time /;

my @clients;

use constant {
    SET_CHUNK_SIZE => 1, ABORT => 2, ACK => 3, CONTROL => 4, WINDOW => 5,
    AUDIO => 8, VIDEO => 9, DATA => 18, COMMAND => 20,
};


# Options: port, host, timeout, source (local address), socket (a connected
# one, for TLS or another test's).
sub new {
    my ($class, %option) = @_;

    my $socket = $option{socket} || IO::Socket::INET->new(
        PeerAddr  => $option{host} || '127.0.0.1',
        PeerPort  => $option{port},
        Timeout   => 5,
        $option{source} ? (LocalAddr => $option{source}) : (),
    ) or die "cannot connect to port $option{port}: $!\n";

    $socket->autoflush(1);

    my $self = bless {
        socket   => $socket, timeout => $option{timeout} || 10,
        out_size => 128, in_size => 128, in => '', streams => {},
        sent     => {}, transaction => 0, msid => 1, closed => 0,
        error    => '', window => 0, received => 0, acked => 0,
    }, $class;

    push @clients, $self;
    weaken($clients[-1]);

    return $self;
}


# A client whose connection that worker has accepted, with its handshake done.
sub on_worker {
    my ($class, $t, $worker) = @_;

    for (1 .. 100) {
        my $self = $class->new(port => $t->port(1935));
        my $port = $self->socket()->sockport();

        $self->handshake();

        my ($line) = $t->log(qr/client 127\.0\.0\.1:$port connected/);

        return $self if $line && $line =~ /\] $worker#/;
        $self->close();
    }

    die "worker $worker accepts nothing\n";
}


# Before nginx is asked to exit gracefully.
sub close_all {
    $_->close() for grep { defined } @clients;
}


sub error { return $_[0]{error} }

sub socket { return $_[0]{socket} }


# --- bytes --------------------------------------------------------------------

sub write_bytes {
    my ($self, $bytes) = @_;

    local $SIG{PIPE} = 'IGNORE';

    while (length $bytes) {
        my $n = syswrite $self->{socket}, $bytes;

        unless ($n) {
            $self->{closed} = 1;
            $self->{error} = "write: $!";
            return 0;
        }

        substr($bytes, 0, $n) = '';
    }

    return 1;
}


# Waits until n bytes are in the buffer.
sub fill {
    my ($self, $n) = @_;

    while (length $self->{in} < $n) {
        $self->receive($self->{deadline} - time()) or return 0;
    }

    return 1;
}


sub receive {
    my ($self, $seconds) = @_;

    my $bits = '';

    vec($bits, fileno $self->{socket}, 1) = 1;
    $seconds = 0 if $seconds < 0;

    unless (select($bits, undef, undef, $seconds) > 0) {
        $self->{error} = 'timed out';
        return 0;
    }

    my $n = sysread $self->{socket}, $self->{in}, 65536, length $self->{in};

    unless ($n) {
        $self->{closed} = 1;
        $self->{error} = defined $n ? 'closed by the peer' : "read: $!";
        return 0;
    }

    $self->{received} += $n;
    $self->acknowledge();

    return 1;
}


sub take {
    my ($self, $n) = @_;

    return substr $self->{in}, 0, $n, '';
}


sub acknowledge {
    my ($self) = @_;

    return unless $self->{window}
                  && $self->{received} - $self->{acked} >= $self->{window};

    $self->{acked} = $self->{received};
    $self->message(ACK, pack('N', $self->{received} & 0xffffffff), csid => 2);
}


# Waits for the end of the connection: true when the peer closed in time.
sub is_closed {
    my ($self, $seconds) = @_;

    my $end = time() + ($seconds // $self->{timeout});

    while (!$self->{closed} && time() < $end) {
        $self->receive($end - time());
    }

    return $self->{closed};
}


sub close {
    my ($self) = @_;

    CORE::close($self->{socket});
}


# Closes with RST, as a host that is switched off and on again does.
sub reset {
    my ($self) = @_;

    setsockopt $self->{socket}, SOL_SOCKET, SO_LINGER, pack 'II', 1, 0;
    CORE::close($self->{socket});
}


# --- handshake ----------------------------------------------------------------

# The simple handshake; c1 may be given (1536 bytes).  Returns S1 and S2.
sub handshake {
    my ($self, %option) = @_;

    my $c1 = $option{c1}
             || pack('N N', 0, 0) . join '', map { chr int rand 256 } 1 .. 1528;

    $self->{deadline} = time() + $self->{timeout};
    $self->write_bytes("\x03$c1") or return;
    $self->fill(1 + 2 * 1536) or return;

    my $s0 = $self->take(1);
    my ($s1, $s2) = ($self->take(1536), $self->take(1536));

    if ($s0 ne "\x03") {
        $self->{error} = 'S0 is not 3';
        return;
    }

    $self->write_bytes($s1) or return;

    return ($s1, $s2);
}


# --- messages out -------------------------------------------------------------

# message(TYPE, PAYLOAD, OPTIONS): csid, msid, timestamp, fmt (0 to 3; without
# it 0 for a csid's first message, then 1 with a delta).
sub message {
    my ($self, $type, $payload, %option) = @_;

    return $self->write_bytes($self->chunks($type, $payload, %option));
}


# The bytes of a message, in chunks.
sub chunks {
    my ($self, $type, $payload, %option) = @_;

    my $csid = $option{csid} || 3;
    my $msid = $option{msid} // 0;
    my $time = ($option{timestamp} || 0) & 0xffffffff;
    my $before = $self->{sent}{$csid};

    my $fmt = $option{fmt}
              // ($before && $time >= $before->{time}
                  && $msid == $before->{msid} ? 1 : 0);

    my $field = $fmt == 0 ? $time
                          : ($time - ($before ? $before->{time} : 0))
                            & 0xffffffff;
    my $extended = $field >= 0xffffff ? pack('N', $field) : '';

    my $head = substr pack('N', $field >= 0xffffff ? 0xffffff : $field), 1;
    $head .= substr(pack('N', length $payload), 1) . chr $type if $fmt < 2;
    $head .= pack 'V', $msid if $fmt == 0;

    # a new message of format 3 repeats the delta of the one before
    $head = '' if $fmt == 3;
    $extended = $before->{extended} if $fmt == 3;

    $self->{sent}{$csid} = { time => $time, msid => $msid,
                             extended => $extended };

    my $out = basic_header($fmt, $csid) . $head . $extended
              . substr $payload, 0, $self->{out_size};

    for (my $i = $self->{out_size}; $i < length $payload;
         $i += $self->{out_size})
    {
        $out .= basic_header(3, $csid) . $extended
                . substr $payload, $i, $self->{out_size};
    }

    return $out;
}


sub basic_header {
    my ($fmt, $csid) = @_;

    return chr($fmt << 6 | $csid) if $csid < 64;
    return chr($fmt << 6) . chr($csid - 64) if $csid < 320;

    return chr($fmt << 6 | 1) . pack 'v', $csid - 64;
}


sub set_chunk_size {
    my ($self, $size) = @_;

    $self->message(SET_CHUNK_SIZE, pack('N', $size), csid => 2);
    $self->{out_size} = $size;
}


sub video {
    my ($self, $timestamp, $payload, %option) = @_;

    return $self->message(VIDEO, $payload, csid => 6, msid => $self->{msid},
                          timestamp => $timestamp, %option);
}


sub audio {
    my ($self, $timestamp, $payload, %option) = @_;

    return $self->message(AUDIO, $payload, csid => 4, msid => $self->{msid},
                          timestamp => $timestamp, %option);
}


sub data {
    my ($self, @values) = @_;

    return $self->message(DATA, amf0(@values), csid => 5,
                          msid => $self->{msid});
}


sub metadata {
    my ($self, %values) = @_;

    return $self->data('@setDataFrame', 'onMetaData', { %values });
}


# A command without waiting for its answer: its transaction number.
sub command {
    my ($self, $name, @values) = @_;

    my $transaction = ++$self->{transaction};

    $self->message(COMMAND, amf0($name, $transaction, @values), csid => 3);

    return $transaction;
}


sub stream_command {
    my ($self, $name, @values) = @_;

    my $transaction = ++$self->{transaction};

    $self->message(COMMAND, amf0($name, $transaction, undef, @values),
                   csid => 8, msid => $self->{msid});

    return $transaction;
}


# --- conversations ------------------------------------------------------------

# connect(APP, PROPERTIES): the values of _result, or undef.
sub connect {
    my ($self, $app, %properties) = @_;

    my $transaction = $self->command('connect', {
        app => $app, type => 'nonprivate', flashVer => 'FMLE/3.0 (test)',
        tcUrl => "rtmp://127.0.0.1/$app", %properties });

    return $self->result($transaction);
}


sub create_stream {
    my ($self) = @_;

    my $result = $self->result($self->command('createStream', undef))
        or return undef;

    return $self->{msid} = $result->[3];
}


# createStream and publish as encoders do it: the info object of onStatus.
sub publish {
    my ($self, $name, $type) = @_;

    defined $self->create_stream() or return undef;
    $self->stream_command('publish', $name, $type || 'live');

    return $self->status();
}


# All up to publishing; dies when it is refused.
sub start {
    my ($class, %option) = @_;

    my $self = $class->new(%option);

    $self->handshake() or die "handshake: $self->{error}\n";
    $self->connect($option{app}) or die "connect: $self->{error}\n";

    my $info = $self->publish($option{name})
        or die "publish: $self->{error}\n";

    die "publish: $info->{code}\n"
        unless $info->{code} eq 'NetStream.Publish.Start';

    $self->set_chunk_size($option{chunk_size} || 4096);

    return $self;
}


# FCUnpublish, deleteStream, close.
sub stop {
    my ($self, $name) = @_;

    $self->command('FCUnpublish', undef, $name || '');
    $self->command('deleteStream', undef, $self->{msid});
    $self->close();
}


# The values of the _result (or _error) of a transaction.
sub result {
    my ($self, $transaction) = @_;

    return $self->wait_command(sub {
        $_[0][0] =~ /^_(result|error)$/ && $_[0][1] == $transaction
    });
}


# The info object of the next onStatus.
sub status {
    my ($self) = @_;

    my $values = $self->wait_command(sub { $_[0][0] eq 'onStatus' })
        or return undef;

    return $values->[3];
}


# The values of the next command that the sub accepts.
sub wait_command {
    my ($self, $accept) = @_;

    $self->{deadline} = time() + $self->{timeout};

    while (my $message = $self->next_message()) {
        next unless $message->{type} == COMMAND;
        return $message->{values} if $accept->($message->{values});
    }

    return undef;
}


# --- messages in --------------------------------------------------------------

# { type, msid, timestamp, payload, values (of commands and data) }.  Control
# messages take effect and are returned as well.
sub read_message {
    my ($self, $seconds) = @_;

    $self->{deadline} = time() + ($seconds // $self->{timeout});

    return $self->next_message();
}


sub next_message {
    my ($self) = @_;

    while (1) {
        my $stream = $self->read_chunk() or return undef;

        next if length $stream->{payload} < $stream->{length};

        my $message = { type => $stream->{type}, msid => $stream->{msid},
                        timestamp => $stream->{time},
                        payload => $stream->{payload} };

        $stream->{payload} = '';
        $self->control($message);

        return $message;
    }
}


sub read_chunk {
    my ($self) = @_;

    my ($fmt, $csid) = $self->read_basic_header() or return undef;
    my $stream = $self->{streams}{$csid} ||= { payload => '', time => 0,
                                               delta => 0, length => 0,
                                               msid => 0, type => 0 };
    my $size = (11, 7, 3, 0)[$fmt];
    my $start = $stream->{payload} eq '';

    $self->fill($size) or return undef;
    my $head = $self->take($size);

    $stream->{field} = unpack 'N', "\0" . substr $head, 0, 3 if $fmt < 3;
    $stream->{length} = unpack 'N', "\0" . substr $head, 3, 3 if $fmt < 2;
    $stream->{type} = ord substr $head, 6, 1 if $fmt < 2;
    $stream->{msid} = unpack 'V', substr $head, 7, 4 if $fmt == 0;

    my $field = $stream->{field};

    if ($field == 0xffffff) {
        $self->fill(4) or return undef;
        $field = unpack 'N', $self->take(4);
    }

    if ($start) {
        $stream->{time} = $fmt == 0 ? $field
                                    : ($stream->{time} + $field) & 0xffffffff;
    }

    my $n = $stream->{length} - length $stream->{payload};

    $n = $self->{in_size} if $n > $self->{in_size};
    $self->fill($n) or return undef;
    $stream->{payload} .= $self->take($n);

    return $stream;
}


sub read_basic_header {
    my ($self) = @_;

    $self->fill(1) or return;

    my $first = ord $self->take(1);
    my ($fmt, $csid) = ($first >> 6, $first & 63);

    if ($csid == 0) {
        $self->fill(1) or return;
        $csid = 64 + ord $self->take(1);

    } elsif ($csid == 1) {
        $self->fill(2) or return;
        $csid = 64 + unpack 'v', $self->take(2);
    }

    return ($fmt, $csid);
}


sub control {
    my ($self, $message) = @_;

    my ($type, $payload) = @$message{qw/ type payload /};

    if ($type == SET_CHUNK_SIZE) {
        $self->{in_size} = unpack 'N', $payload;

    } elsif ($type == WINDOW) {
        $self->{window} = unpack 'N', $payload;

    } elsif ($type == CONTROL) {
        my ($event) = unpack 'n', $payload;

        # a ping is answered with its own time
        $self->message(CONTROL, pack('n', 7) . substr($payload, 2), csid => 2)
            if $event == 6;

    } elsif ($type == COMMAND || $type == DATA) {
        $message->{values} = [ amf0_values($payload) ];
    }
}


# --- AMF0 ---------------------------------------------------------------------

# Values become AMF0: undef null, a number, a string, a hash an object, a list
# a strict array, a reference to 0 or 1 a boolean, [ecma => HASH] an ECMA
# array.
sub amf0 {
    return join '', map { amf0_value($_) } @_;
}


sub amf0_value {
    my ($value) = @_;

    return "\x05" unless defined $value;

    if (ref $value eq 'SCALAR') {
        return "\x01" . ($$value ? "\x01" : "\x00");

    } elsif (ref $value eq 'HASH') {
        return "\x03" . amf0_properties($value);

    } elsif (ref $value eq 'ARRAY' && @$value == 2
             && ($value->[0] // '') eq 'ecma')
    {
        return "\x08" . pack('N', scalar keys %{ $value->[1] })
               . amf0_properties($value->[1]);

    } elsif (ref $value eq 'ARRAY') {
        return "\x0a" . pack('N', scalar @$value) . amf0(@$value);

    } elsif (looks_like_number($value)) {
        return "\x00" . pack 'd>', $value;
    }

    return length $value > 65535 ? "\x0c" . pack 'N/a*', $value
                                 : "\x02" . pack 'n/a*', $value;
}


sub amf0_properties {
    my ($hash) = @_;

    return join('', map { pack('n/a*', $_) . amf0_value($hash->{$_}) }
                    sort keys %$hash) . "\x00\x00\x09";
}


# The values of AMF0 bytes; dies at what it does not know.
sub amf0_values {
    my ($bytes) = @_;

    my @values;

    push @values, amf0_read(\$bytes) while length $bytes;

    return @values;
}


sub amf0_read {
    my ($in) = @_;

    my $type = ord substr $$in, 0, 1, '';

    return unpack 'd>', substr $$in, 0, 8, '' if $type == 0;
    return ord substr $$in, 0, 1, '' if $type == 1;
    return amf0_string($in, 'n') if $type == 2;
    return amf0_object($in) if $type == 3;
    return undef if $type == 5 || $type == 6;
    return amf0_string($in, 'N') if $type == 12;

    if ($type == 8) {
        substr $$in, 0, 4, '';
        return amf0_object($in);
    }

    if ($type == 10) {
        my $n = unpack 'N', substr $$in, 0, 4, '';
        return [ map { amf0_read($in) } 1 .. $n ];
    }

    die "AMF0 type $type in an answer\n";
}


sub amf0_string {
    my ($in, $width) = @_;

    my $n = unpack $width, substr $$in, 0, $width eq 'n' ? 2 : 4, '';

    return substr $$in, 0, $n, '';
}


sub amf0_object {
    my ($in) = @_;

    my %object;

    while (length $$in) {
        my $name = amf0_string($in, 'n');

        if ($name eq '' && ord(substr $$in, 0, 1) == 9) {
            substr $$in, 0, 1, '';
            last;
        }

        $object{$name} = amf0_read($in);
    }

    return \%object;
}


# --- media --------------------------------------------------------------------

# FLV video payloads of AVC: the sequence header, and a frame of NAL units
# with their lengths (cts in ms).
sub avc_header {
    my ($avcc) = @_;

    return "\x17\x00\x00\x00\x00$avcc";
}


sub avc_frame {
    my ($key, $cts, $units) = @_;

    return ($key ? "\x17" : "\x27") . "\x01"
           . substr(pack('N', $cts & 0xffffff), 1) . $units;
}


sub aac_header {
    my ($config) = @_;

    return "\xaf\x00$config";
}


sub aac_frame {
    my ($frame) = @_;

    return "\xaf\x01$frame";
}


# The tags of an FLV file: [ { type, timestamp, payload } ].
sub flv_tags {
    my ($path) = @_;

    open my $in, '<:raw', $path or die "cannot read $path: $!\n";
    my $data = do { local $/; <$in> };

    die "$path is not FLV\n" unless substr($data, 0, 3) eq 'FLV';

    my @tags;
    my $pos = 13;

    while ($pos + 11 <= length $data) {
        my ($type, $size, $low, $high) =
            unpack 'C a3 a3 C', substr $data, $pos, 8;

        $size = unpack 'N', "\0$size";
        push @tags, { type => $type & 31,
                      timestamp => $high << 24 | unpack('N', "\0$low"),
                      payload => substr $data, $pos + 11, $size };
        $pos += 11 + $size + 4;
    }

    return \@tags;
}


# Sends the tags of flv_tags() at once, with an offset of the timestamps.
sub send_tags {
    my ($self, $tags, $offset) = @_;

    for my $tag (@$tags) {
        my $csid = { AUDIO, 4, VIDEO, 6, DATA, 5 }->{$tag->{type}} or next;

        my $payload = $tag->{payload};
        $payload = amf0('@setDataFrame') . $payload if $tag->{type} == DATA;

        $self->message($tag->{type}, $payload, csid => $csid,
                       msid => $self->{msid},
                       timestamp => $tag->{timestamp} + ($offset || 0))
            or return 0;
    }

    return 1;
}


1;
