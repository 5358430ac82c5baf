#!/usr/bin/env perl

# Hostile and broken RTMP ends at most its own connection (invariant 9), in
# each state of the parser (RTMP-120 to RTMP-122), with a reason in the log.
#
# TEST_SEED repeats a run.

# asan

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use Test::Live;
use Test::Live::M3U8;
use Test::Live::MP4;
use Test::Live::RTMP;
use Test::More;
use Time::HiRes qw/ time /;

use constant RTMP => 'Test::Live::RTMP';

# connections for each state and kind of mutation
use constant ROUNDS => 12;

my $seed = $ENV{TEST_SEED} // (time() * 1000) % 2 ** 31;

srand $seed;
note("TEST_SEED=$seed");

my $t = Test::Live->new();

$t->write_file_expand('nginx.conf', <<'CONF');
%%TEST_GLOBALS%%
events { worker_connections 1024; }

live {
    zone 128m;
    segment 2s;

    application live { window 120s; }
    application hostile { window 6s; max_message 1m; }
}

stream {
    server { listen 127.0.0.1:%%PORT_1935%% backlog=1024; live_rtmp; }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /live/ { live_play live; }
        location /hostile/ { live_play hostile; }
    }
}
CONF

my $path = $t->clip(seconds => 4, gop => 30);
my $tags = RTMP->can('flv_tags')->($path);
my ($avc_header) = map { $_->{payload} }
                   grep { $_->{payload} =~ /\A\x17\x00/ } @$tags;
my @script = script();
my @steps = map { $_->[0] } @script;
my $serial = 0;

# port of a client => what it did
my %clients;

# the log as far as it was read: connections by port, lines by connection
my %index = (ports => {}, lines => {}, size => 0);

$t->run();

my ($worker) = $t->workers();
my $good = $t->ffmpeg_publish('live/good', clip => $path, loop => -1);

$t->wait_for(sub { $t->get('/live/good/playlist.m3u8')->{status} == 200 }, 20,
             'good stream');

my $files = open_files();
my %loris = begin_loris();
my @idle = map { client('idle') } 1 .. 200;

handshakes();
chunks();
commands();
media();
aggregates();
unread();
mutations();
idle();
loris();
reasons();
unharmed();

diag("TEST_SEED=$seed") unless Test::More->builder->is_passing();
done_testing();


# --- one attack each ----------------------------------------------------------

sub handshakes {
    my %greetings = (
        'GET / HTTP/1.1'  => [ "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 'HTTP' ],
        'a POST request'  => [ "POST /fcs/ident2 HTTP/1.1\r\n\r\n", 'HTTP' ],
        'a TLS hello'     => [ "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
                               . random(500), 'TLS' ],
        'RTMPE'           => [ "\x06" . random(1536), 'RTMPE' ],
        'RTMP version 0'  => [ "\x00" . random(1536), 'unknown version' ],
        'random letters'  => [ 'hello' x 100, 'not RTMP' ],
        'the byte 255'    => [ "\xff", 'not RTMP' ],
    );

    for my $what (sort keys %greetings) {
        my ($bytes, $reason) = @{ $greetings{$what} };
        my $c = client($what);

        $c->write_bytes($bytes);
        ends($c, qr/handshake: .*$reason/, "$what (RTMP-2)");
        is($c->{in}, '', "$what is not answered");
    }

    # a digest that is none, an empty C1, C2 that is none
    for my $c1 ("\0\0\0\0\x0a\0\x2d\x02" . random(1528), "\0" x 1536,
                "\xff" x 1536)
    {
        my $c = client('odd C1');

        $c->write_bytes("\x03$c1" . random(1536));
        $c->{deadline} = time() + 10;
        ok($c->fill(3073), 'an odd C1 is answered (RTMP-7)');
        $c->take(3073);
        is($c->connect('live')->[3]{code}, 'NetConnection.Connect.Success',
           'and C2 does not matter (RTMP-4)');
        $c->close();
    }
}


sub chunks {
    my $huge = substr pack('N', 0xffffff), 1;

    attack('handshake', "\xc3" . random(100), qr/refers to nothing/,
           'format 3 first (RTMP-20)');
    attack('handshake', "\x83\0\0\0" . random(100), qr/refers to nothing/,
           'format 2 first (RTMP-20)');
    attack('handshake', "\x03\0\0\0$huge\x14\0\0\0\0" . random(200),
           qr/message of type 20 has 16777215 bytes, the limit is 262144/,
           'a command of 16 MB (RTMP-28)');
    attack('handshake', "\x03\0\0\0$huge\x63\0\0\0\0"
                        . ("\0" x 128 . "\xc3") x 600,
           qr/more than 65536 bytes before a publish/,
           'more than is needed to publish (RTMP-120)');
    attack('publish', "\x06\0\0\0$huge\x09\1\0\0\0" . random(200),
           qr/message of type 9 has 16777215 bytes, the limit is 1048576/,
           'a video message of 16 MB (RTMP-28)');

    for my $size (0, 0x80000000, 0xffffffff) {
        attack($_, message(1, pack('N', $size)), qr/chunk size out of range/,
               "a chunk size of $size (RTMP-26)")
            for qw/ handshake publish /;
    }

    attack('connect', message($_, "\0\0"), qr/control message is too short/,
           "a short control message of type $_ (RTMP-38)") for 1, 2, 3, 5, 6;
    attack('publish', message(4, "\0\6"), qr/control message is too short/,
           'half a ping (RTMP-38)');

    attack('publish', join('', map { "\0" . chr($_) . "\0\0\0\0\0\x01\x63"
                                     . "\1\0\0\0x" } 0 .. 80),
           qr/too many chunk streams/, 'many chunk streams (RTMP-29)');

    attack('publish', join('', map { chr(10 + $_) . "\0\0\0\x03\xff\xff\x12"
                                     . "\1\0\0\0" . random(65536) } 0 .. 6),
           qr/too many unfinished messages/,
           'many unfinished messages (RTMP-29)');

    my $begin = "\0\0\0\x02\0\0\x09\1\0\0\0" . "\x27\1" . random(65534);

    attack('publish', "\x06$begin\x06\0\0\0\0\0\1\x09\1\0\0\0x",
           qr/header inside of a message/,
           'a header in a message (RTMP-25)');
    attack('publish', "\x06$begin\x07$begin",
           qr/two video messages at the same time/,
           'two video messages at once (RTMP-25)');

    # what is odd but legal
    survives('publish', message(2, pack 'N', 12345),
             'an Abort of nothing (RTMP-33)');
    survives('publish', "\x06$begin" . message(2, pack 'N', 6),
             'an Abort of a video message (RTMP-33)');
    survives('publish', message(1, pack('N', 1))
                        . "\x05\0\0\0\0\0\2\x63\1\0\0\0x\xc5y"
                        . "\x02\0\0\0\0\0\4\x01\0\0\0\0\0\xc2\1\xc2\0\xc2\0",
             'chunks of one byte (RTMP-26)');
    survives('publish', message($_, ''), "an empty message of type $_ "
                        . '(RTMP-44)') for 8, 9, 15, 18, 22, 99;
    survives('publish', message(8, "\xaf\1x", extended => 0xfffffff0)
                        . message(8, "\xaf\1y", extended => 5),
             'times that wrap and go back (RTMP-24)');
    survives('publish', "\x40\0" . "\0\0\0\0\0\1\x63" . 'x',
             'format 1 on a fresh chunk stream (RTMP-20)');
}


sub commands {
    my $array = "\x0a\xff\xff\xff\xff";

    attack('handshake', command('createStream', 2, undef),
           qr/command before connect/, 'createStream first (RTMP-65)');
    attack('handshake', message(8, "\xaf\1x"), qr/media before connect/,
           'audio first (RTMP-65)');
    attack('connect', command('connect', 1, { app => 'live' }),
           qr/second connect/, 'connect twice (RTMP-65)');
    attack('connect', command('publish', 5, undef, 'x'),
           qr/stream that was not created/, 'publish without createStream');
    attack('connect', join('', map { command('createStream', $_, undef) }
                               1 .. 20),
           qr/more than 8 streams/, 'many streams (RTMP-61)');
    attack('handshake', command('connect', 1, { x => 1 }),
           qr/connect names no application/, 'connect without app (RTMP-56)');
    attack('handshake', command('connect', 1, { app => "a\nb" }),
           qr/application is not valid/, 'connect with a control character');

    my %amf = (
        nested   => "\x03\0\1a" x 10000,
        arrays   => "\x0a\0\0\0\1" x 10000,
        count    => $array,
        string   => "\x02\xff\xffabc",
        long     => "\x0c\xff\xff\xff\xffabc",
        ecma     => "\x08\xff\xff\xff\xff\0\1a",
        number   => "\x00\x40",
        date     => "\x0b\0",
        circle   => "\x03\0\1a\x07\0\0\0\0\x09",
        unknown  => "\x42",
        amf3     => "\x11\x0a\x0b\x01" . "\xff" x 100,
        amf3refs => "\x11\x0a\x0b\x01\x03a\x06\x7f\x01",
        amf3deep => "\x11" . "\x09\x03\x01" x 10000,
        nothing  => '',
    );

    for my $what (sort keys %amf) {
        attack('handshake', message(20, amf('connect', 1) . $amf{$what}),
               qr/malformed connect|names no application/,
               "connect with broken AMF: $what (RTMP-50)");
        survives('publish', message(18, amf('@setDataFrame', 'onMetaData')
                                        . $amf{$what}),
                 "metadata of broken AMF: $what (RTMP-77)");
        survives('publish', message(20, amf('noSuch', 1) . $amf{$what}),
                 "an unknown command with broken AMF: $what (RTMP-64)");
    }

    attack('connect', message($_->[0], $_->[1]), qr/malformed command/,
           "no command: $_->[2]")
        for [ 20, '', 'empty' ], [ 20, "\0" x 9, 'a number' ],
            [ 20, "\x02\xff\xff", 'a string beyond the end' ],
            [ 17, '', 'empty in AMF3' ], [ 17, "\0", 'nothing behind a 0' ];

    survives('publish', command('deleteStream', 9, undef, 'inf' x 9)
                        . command('deleteStream', 9, undef, -1)
                        . command('deleteStream', 9, undef, 1e300)
                        . command('deleteStream', 9),
             'deleteStream of nonsense');
    survives('publish', command($_, 0) x 50, "$_ without arguments, often")
        for qw/ releaseStream FCPublish getStreamLength /;
}


sub media {
    my $avcc = substr $avc_header, 5;
    my %ignored = (
        'an empty avcC'        => [ 9, "\x17\0\0\0\0" ],
        'avcC of version 0'    => [ 9, "\x17\0\0\0\0\0" . substr $avcc, 1 ],
        'NAL lengths of 3'     => [ 9, "\x17\0\0\0\0" . substr($avcc, 0, 4)
                                       . "\xfe" . substr $avcc, 5 ],
        'avcC with 31 SPS'     => [ 9, "\x17\0\0\0\0" . substr($avcc, 0, 5)
                                       . "\xff" . substr $avcc, 6 ],
        'avcC without SPS'     => [ 9, "\x17\0\0\0\0" . substr($avcc, 0, 5)
                                       . "\xe0\0" ],
        'avcC cut off'         => [ 9, "\x17\0\0\0\0" . substr $avcc, 0, 12 ],
        'an SPS of ones'       => [ 9, "\x17\0\0\0\0\1\x64\0\x1f\xff\xe1\0\x20"
                                       . "\x67" . "\xff" x 31 . "\0" ],
        'an SPS of zeros'      => [ 9, "\x17\0\0\0\0\1\x64\0\x1f\xff\xe1\0\x20"
                                       . "\x67" . "\0" x 31 . "\0" ],
        'an empty ASC'         => [ 8, "\xaf\0" ],
        'an ASC of one byte'   => [ 8, "\xaf\0\x12" ],
        'a reserved AAC rate'  => [ 8, "\xaf\0\x16\x90" ],
        'AAC without channels' => [ 8, "\xaf\0\x11\x80" ],
    );

    for my $what (sort keys %ignored) {
        my ($type, $payload) = @{ $ignored{$what} };

        survives('publish', message($type, $payload) x 2, $what,
                 qr/a sequence header for (?:H.264|AAC) of \d+ bytes is ignored/);
    }

    attack('publish', message(9, "\x17\0\0\0\0" . random(5000)),
           qr/a codec record of 5000 bytes/, 'an avcC of 5000 bytes');

    my @lengths = (0xffffffff, 0x80000000, 0x7fffffff, 0x100, 1);

    survives('publish', message(9, $avc_header)
             . message(9, "\x17\1\0\0\0" . pack('N', $_) . "\x65abc"),
             "a NAL unit of $_ bytes (RTMP-86)", qr/broken frame is dropped/)
        for @lengths;

    survives('publish', message(9, $avc_header)
             . message(9, "\x17\1\0\0\0" . "\0" x 40)
             . message(9, "\x17\1\0\0\0")
             . message(9, "\x17\1")
             . message(9, "\x17")
             . message(9, "\x57\0")
             . message(9, "\x17\2\0\0\0")
             . message(9, "\x17\xff\0\0\0" . random(50)),
             'empty NAL units and cut tags (RTMP-86)');

    survives('publish', message(9, $avc_header)
             . join('', map { message(9, "\x17\1$_" . pack('N/a*', "\x65abc"),
                                      extended => $_ eq "\xff\xff\xff"
                                                  ? 0xfffffff0 : 1000) }
                        "\x7f\xff\xff", "\x80\0\0", "\xff\xff\xff"),
             'composition times of hours (RTMP-84)');

    refused($_->[0], $_->[1]) for
        [ 9, "\x96\x10avc1\0\xff\xff\xff" . random(40) ],
        [ 9, "\x97\xff\xff\xff" . random(40) ],
        [ 9, "\x90xxxx" ], [ 9, "\x90" . "\0" x 4 ], [ 8, "\x95\x01mp4a\0" ],
        [ 8, "\x97" . "\0" x 40 ];
}


# RTMP-43
sub aggregates {
    my $part = sub {
        my ($type, $time, $payload, $size) = @_;

        return chr($type) . substr(pack('N', $size // length $payload), 1)
               . substr(pack('N', $time & 0xffffff), 1) . chr($time >> 24)
               . "\0\0\0" . $payload . pack 'N', 11 + length $payload;
    };

    my $name = fresh_name();
    my $c = reach('create', 'an aggregate');
    my $out = '';

    $c->write_bytes(command('publish', 5, undef, $name, msid => 1));
    $c->status();
    $c->set_chunk_size(65536);

    $out .= $part->($_->{type}, 7777 + $_->{timestamp}, $_->{payload})
        for grep { $_->{type} != 18 } @$tags;

    $c->message(22, $out, csid => 7, msid => 1, timestamp => 100);
    $c->command('deleteStream', undef, 1);
    is($c->status()->{code}, 'NetStream.Unpublish.Success',
       'a publication in one aggregate message (RTMP-43)');
    is_deeply([ map { md5_hex($_->{data}) } samples("hostile/$name/source") ],
              [ frames() ], 'is served byte-exact (RTMP-43)');
    $c->close();

    survives('publish', message(22, $_), 'a broken aggregate (RTMP-43)') for
        $part->(9, 0, 'x' x 20, 0xffffff), $part->(8, 0, '') x 9,
        $part->(9, 0, $avc_header) . 'abc',
        $part->(9, 0, $avc_header) . $part->(8, 9, "\xaf", 2),
        $part->(22, 0, $part->(22, 0, $part->(9, 0, "\x27\1"))),
        "\xff" x 200, "\0" x 200, random(1000);
}


# Answers that nobody reads are not collected for ever.
sub unread {
    my $c = reach('publish', 'pings unread');
    my $ping = message(4, pack('n N', 6, 1)) x 1000;

    for (1 .. 2000) {
        $c->write_bytes($ping) or last;
        last if $t->log(qr/RTMP ends: peer does not read/);
    }

    is(scalar(() = $t->log(qr/RTMP ends: peer does not read/)), 1,
       'answers that are not read end the connection (RTMP-120)');
    $c->close();
}


# --- mutations ----------------------------------------------------------------

sub mutations {
    my %kinds = (
        truncated => \&truncated,
        random    => \&random_bytes,
        messages  => \&random_messages,
        oversized => \&oversized,
        reordered => \&reordered,
        flipped   => \&flipped,
        repeated  => \&repeated,
    );

    for my $kind (sort keys %kinds) {
        for my $step (0 .. $#steps) {
            for (1 .. ROUNDS) {
                my $c = client("$kind in $steps[$step]");
                my $bytes = join '', map { $_->[1] } @script[0 .. $step - 1];

                send_parts($c, $bytes . $kinds{$kind}->($step));

                # the peer may be gone, or stop in the middle
                rand() < 0.3 ? $c->reset() : $c->close();
            }

            drip();
        }

        is(join(' ', $t->workers()), $worker,
           ROUNDS * @steps . " sessions with $kind input: the worker lives "
           . '(invariant 9)');
    }
}


# Any split of the bytes will do.
sub send_parts {
    my ($c, $bytes) = @_;

    while (length $bytes) {
        my $n = rand() < 0.5 ? 1 + int rand 20 : 1 + int rand length $bytes;

        $c->write_bytes(substr $bytes, 0, $n, '') or last;
    }
}


sub truncated {
    my ($step) = @_;

    return substr $script[$step][1], 0, rand length $script[$step][1];
}


sub random_bytes { return random(1 + rand 5000) }


# Headers that are well formed with anything in them.
sub random_messages {
    my @types = (1 .. 6, 8, 9, 15, 17, 18, 20, 22, 8, 9, 20, 99);

    return join '', map {
        message($types[rand @types], random(rand 100), msid => int rand 3,
                csid => 2 + int rand 8)
    } 1 .. 40;
}


sub oversized {
    my @types = (1 .. 6, 8, 9, 15, 17, 18, 20, 22, 99);

    return chr(3 + rand 5) . "\0\0\0"
           . substr(pack('N', 2 ** (8 + rand 16)), 1) . chr($types[rand @types])
           . "\1\0\0\0" . random(rand 20000);
}


sub reordered {
    my ($step) = @_;

    my @rest = map { messages_of($_) } @script[$step .. $#script];

    return join '', sort { rand() <=> 0.5 } @rest;
}


sub flipped {
    my ($step) = @_;

    my $bytes = join '', map { $_->[1] } @script[$step .. $#script];

    substr($bytes, rand length $bytes, 1) = chr rand 256
        for 1 .. 1 + rand 10;

    return $bytes;
}


sub repeated {
    my ($step) = @_;

    return $script[$step][1] x 3
           . join '', map { $_->[1] } @script[$step .. $#script];
}


# --- the script of a session --------------------------------------------------

# [ step, bytes, messages ]: what a publisher sends, in chunks of 128 bytes.
sub script {
    open my $null, '<', '/dev/null' or die;

    my $writer = RTMP->new(socket => $null);
    my @media;

    for my $tag (grep { $_->{timestamp} < 700 } @$tags) {
        push @media, $writer->chunks($tag->{type}, $tag->{payload}, fmt => 0,
                                     csid => $tag->{type}, msid => 1,
                                     timestamp => $tag->{timestamp});
    }

    my @commands = (
        [ 'connect', $writer->chunks(20, amf('connect', 1,
            { app => 'hostile', flashVer => 'FMLE', capabilities => 15,
              list => [ 'a', 1, undef ] }), fmt => 0) ],
        [ 'create', $writer->chunks(20, amf('createStream', 2, undef),
                                    fmt => 0) ],
        [ 'publish', $writer->chunks(20, amf('publish', 3, undef, 'fuzz',
                                             'live'), msid => 1, csid => 8,
                                     fmt => 0) ],
        [ 'media', @media ],
        [ 'end', map { $writer->chunks(20, amf($_, 4, undef, 1), msid => 1,
                                       csid => 8, fmt => 0) }
                 qw/ FCUnpublish closeStream deleteStream / ],
    );

    return [ 'hello', "\x03" . "\0" x 8 . 'r' x 1528 . 's' x 1536 ],
           map { my ($step, @messages) = @$_;
                 [ $step, join('', @messages), \@messages ] } @commands;
}


sub messages_of {
    my ($part) = @_;

    return $part->[2] ? @{ $part->[2] } : $part->[1];
}


# --- attacks that take their time ---------------------------------------------

# They send a byte now and then, and would for hours (RTMP-121).
sub begin_loris {
    my %c = map { $_ => client("slow $_") } qw/ handshake connect pings /;

    $c{handshake}{drip} = "\x03" . "\0" x 3072;
    $_->handshake() for @c{qw/ connect pings /};
    $c{connect}{drip} = command('connect', 1, { app => 'x' x 3000 });
    $c{pings}->connect('hostile');
    $c{pings}{drip} = message(4, pack('n N', 6, 1)) x 200;

    return %c;
}


sub drip {
    for my $c (values %loris) {
        $c->write_bytes(substr $c->{drip}, 0, 1, '') unless $c->{closed};
    }
}


sub loris {
    for my $what (sort keys %loris) {
        my $c = $loris{$what};

        $t->wait_for(sub { drip(); $c->is_closed(0.05) }, 20, "end of $what");
        ok($c->{closed}, "a slow $what is closed all the same (RTMP-121)");
        like(join("\n", lines_of($c)),
             $what eq 'handshake' ? qr/did not complete the handshake within/
                                  : qr/did not publish within 10000ms/,
             'with the reason in the log');
    }
}


sub idle {
    my $closed = grep { $_->is_closed(20) } @idle;

    is($closed, scalar @idle, '200 idle connections are closed (RTMP-14)');
    is(scalar(grep { join("\n", lines_of($_))
                     !~ /did not complete the handshake within 5000ms/ }
              @idle), 0, 'each with its reason in the log');
}


# --- what has to be true after all --------------------------------------------

sub reasons {
    my @without;
    my $reason = qr/RTMP\ ends:\ \w|refused:\ \w|closed\ the\ connection
                    |did\ not\ (?:publish|complete)|(?:recv|send)\(\)\ failed/x;

    $t->wait_for(sub {
        @without = grep {
            my @lines = lines_of($_);

            !grep { /$reason/ } @lines;
        } map { @$_ } values %clients;

        return !@without;
    }, 15, 'reason for each end');

    my $n = map { @$_ } values %clients;

    is(join(', ', map { $_->{what} } @without), '',
       "a reason for the end of each of $n connections is in the log "
       . '(RTMP-125)');

    unlike($t->log(), qr/[^\x20-\x7e\n]/,
           'and no byte of theirs (RTMP-125)');

    ok($t->wait_for(sub { open_files() <= $files + 4 }, 15,
                    'connections closed by the worker'),
       'nginx has closed them all');
}


sub unharmed {
    is(join(' ', $t->workers()), $worker, 'the worker is the same one');
    ok($t->is_running($good), 'the good stream is still published');

    my ($p, @samples);

    @samples = samples('live/good/source', \$p);

    my @sent = frames();
    my @got = map { md5_hex($_->{data}) } @samples;
    my @wrong = grep { $got[$_] ne $sent[$_ % @sent] } 0 .. $#got;

    # the one behind the seam of the loop is decoded when it is expected, and
    # presented when it should be
    my @late = grep { $_ % @sent > 1
                      && $samples[$_]{dts} - $samples[$_ - 1]{dts} != 3000 }
               0 .. $#samples;

    cmp_ok(scalar @got, '>', 200, 'and was all the time');
    is("@wrong", '', 'no byte of it was touched (invariant 9)');
    is(join(' ', @late[0 .. ($#late < 5 ? $#late : 5)]), '',
       'each frame has its time');
    is(scalar(grep { $_->{discontinuity} } @{ $p->{segments} }), 0,
       'and there is no discontinuity');

    my $c = RTMP->start(port => $t->port(1935), app => 'live', name => 'next');

    $c->send_tags($tags);
    $c->command('deleteStream', undef, 1);
    $c->status();
    is_deeply([ map { md5_hex($_->{data}) } samples('live/next/source') ],
              \@sent, 'and the next one is as good');
}


# --- tools --------------------------------------------------------------------

sub random { return join '', map { chr rand 256 } 1 .. $_[0] }

sub amf { return RTMP->can('amf0')->(@_) }


sub client {
    my ($what) = @_;

    my $c = RTMP->new(port => $t->port(1935));

    $c->{what} = $what;
    $c->{port} = $c->socket()->sockport();

    # a port may serve several connections
    my $same = $clients{$c->{port}} ||= [];

    $c->{order} = @$same;

    push @$same, { what => $what, port => $c->{port}, order => scalar @$same };

    return $c;
}


sub fresh_name { return 'x' . ++$serial }


# A client in that state: handshake, connect, create, or publish.
sub reach {
    my ($state, $what) = @_;

    my $c = client($what);

    $c->handshake();
    return $c if $state eq 'handshake';

    $c->connect('hostile');
    return $c if $state eq 'connect';

    $c->create_stream();
    return $c if $state eq 'create';

    $c->stream_command('publish', fresh_name(), 'live');
    $c->status();
    $c->set_chunk_size(65536);

    return $c;
}


# A message in one chunk of format 0.
sub message {
    my ($type, $payload, %option) = @_;

    my $time = $option{extended};

    return chr($option{csid} || 3) . (defined $time ? "\xff\xff\xff" : "\0\0\0")
           . substr(pack('N', length $payload), 1) . chr($type)
           . pack('V', $option{msid} // 1)
           . (defined $time ? pack('N', $time) : '') . $payload;
}


sub command {
    my ($name, @values) = @_;

    my %option;

    %option = (msid => 1), splice @values, -2
        if @values > 2 && ($values[-2] // '') eq 'msid';

    my $payload = amf($name, @values);

    return small(20, $payload, $option{msid} // 0);
}


sub small {
    my ($type, $payload, $msid) = @_;

    my ($first, @rest) = unpack '(a128)*', $payload;

    return "\x03\0\0\0" . substr(pack('N', length $payload), 1) . chr($type)
           . pack('V', $msid) . ($first // '') . join '', map { "\xc3$_" } @rest;
}


# The server ends the connection for that reason.
sub attack {
    my ($state, $bytes, $reason, $what) = @_;

    my $c = reach($state, $what);

    $bytes = rechunk($bytes) if $state ne 'publish';
    $c->write_bytes($bytes);
    ends($c, $reason, $what);
}


# One message of more than 128 bytes, in chunks.
sub rechunk {
    my ($bytes) = @_;

    my $size = unpack 'N', "\0" . substr $bytes, 4, 3;

    return $bytes if length $bytes != 12 + $size || $size <= 128;

    return small(ord(substr $bytes, 7, 1), substr($bytes, 12), 0);
}


sub ends {
    my ($c, $reason, $what) = @_;

    ok($c->is_closed(10), "$what ends the connection");

    my @lines = lines_of($c);

    is(scalar(grep { /RTMP ends: .*$reason/ } @lines), 1, "$what: the log says why")
        or diag(join "\n", @lines);
    $c->close();
}


# The connection goes on: a ping is answered.  logged: a line it leaves.
sub survives {
    my ($state, $bytes, $what, $logged) = @_;

    my $c = reach($state, $what);

    $c->write_bytes($bytes);

    # whatever was sent may have changed the size of chunks to no less than 6
    $c->write_bytes("\x02\0\0\0\0\0\6\4\0\0\0\0" . pack 'n N', 6, 4711)
        unless $bytes =~ /\xc2\0\xc2\0\z/;

    my $alive = $bytes =~ /\xc2\0\xc2\0\z/;

    while (!$alive && (my $message = $c->read_message(10))) {
        $alive = $message->{type} == 4
                 && $message->{payload} eq pack 'n N', 7, 4711;
    }

    ok($alive, "$what does no harm") or diag(lines_of($c));

    if ($logged) {
        ok(scalar(grep { /$logged/ } lines_of($c)), "$what: the log tells it")
            or diag(lines_of($c));
    }

    $c->close();
}


sub refused {
    my ($type, $payload) = @_;

    my $c = reach('publish', 'another codec');

    $c->write_bytes(message($type, $payload));

    my $info = $c->status() || {};

    is($info->{code}, 'NetStream.Publish.Rejected',
       'a codec of ' . unpack('H10', $payload) . ' is refused (RTMP-70)');
    ok($c->is_closed(10), 'and its connection closed');
    $c->close();
}


# The lines of the log about the connection of a client: its port tells which
# it is, of several with one port the last one, or the one of that order.
sub lines_of {
    my ($c) = @_;

    my $log = log_index();
    my $ids = $log->{ports}{$c->{port}} or return ();
    my $id = $ids->[$c->{order} // -1] // return ();

    return @{ $log->{lines}{$id} || [] };
}


sub log_index {
    my $file = $t->dir() . '/error.log';

    return \%index if $index{size} == -s $file;

    open my $in, '<', $file or die;
    seek $in, $index{size}, 0;

    while (my $line = <$in>) {
        last unless $line =~ /\n\z/;
        $index{size} += length $line;

        my ($id) = $line =~ /: \*(\d+) / or next;

        push @{ $index{lines}{$id} }, $line;
        push @{ $index{ports}{$1} }, $id
            if $line =~ /client 127\.0\.0\.1:(\d+) connected/;
    }

    return \%index;
}


sub open_files {
    my @files = glob "/proc/$worker/fd/*";

    return scalar @files;
}


sub frames {
    return map { md5_hex(substr $_->{payload}, 5) }
           grep { $_->{type} == 9 && $_->{payload} =~ /\A.\x01/s } @$tags;
}


# The samples of all listed segments.
sub samples {
    my ($path, $playlist) = @_;

    my $p = Test::Live::M3U8->parse($t->get("/$path/playlist.m3u8")->{body});

    $$playlist = $p if $playlist;

    return map { @{ Test::Live::MP4->segment(
                        $t->get("/$path/$_->{uri}")->{body})->{samples} } }
           grep { !$_->{gap} } @{ $p->{segments} };
}
