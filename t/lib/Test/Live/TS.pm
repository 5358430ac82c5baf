package Test::Live::TS;

# A strict reader of segments in MPEG-TS.  What is against the rules is
# collected in errors, each with its rule (HLS-n, CMAF-n).
#
#     my $ts = Test::Live::TS->segment($bytes);
#     # { errors, packets,
#     #   pmt => { version, pcr_pid, streams => { PID => stream type } },
#     #   pids => { PID => { packets, payloads, first_cc, last_cc, counts,
#     #                      discontinuity, random } },
#     #   pcrs => [ 27 MHz ... ],
#     #   video, audio => { pid, pes => [ { pts, dts, data, random, pcr,
#     #                     stream_id, key } ] } }       times at 90 kHz
#     #   (audio's PES also has frames => [ bytes of each ADTS frame ], and
#     #   samples, how many samples of audio these are, and rate)
#
#     join_errors($a, $b): segment b does not follow on a.
#     after($a, $b): how much later b is, with both modulo 2^33.
#
# Options of segment(): key => 0, it need not begin with a key frame.

use strict;
use warnings;

use Exporter qw/ import /;

our @EXPORT_OK = qw/ join_errors after /;

my $wrap = 2 ** 33;
my $pcr_wrap = $wrap * 300;

# HLS-84: 0.1 to 0.7 s; for audio, which lies beside video decoded early, what
# is in a decoder's buffer for a second is allowed (ISO 13818-1, 2.4.2.6).
my @pcr_lead = (0.1 * 90000, 0.7 * 90000);
my $pcr_most = 0.1 * 27000000;
my $buffer_most = 90000;

my @rates = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000,
             12000, 11025, 8000, 7350);


sub segment {
    my ($class, $data, %options) = @_;

    my $self = bless {
        errors => [], pids => {}, pcrs => [], packets => [],
        key => $options{key} // 1,
    }, $class;

    if (length($data) == 0 || length($data) % 188) {
        $self->error('CMAF-54', length($data) . ' bytes are no packets');
        return $self;
    }

    $self->packet(substr($data, 188 * $_, 188), $_)
        for 0 .. length($data) / 188 - 1;

    $self->check_tables();
    $self->check_pcrs();

    for my $pid (sort keys %{ $self->{pids} }) {
        $self->check_pid($pid, $self->{pids}{$pid});
    }

    $self->streams() if $self->{pmt};

    return $self;
}


sub error {
    my ($self, $rule, $text) = @_;

    push @{ $self->{errors} }, "$rule: $text" if @{ $self->{errors} } < 50;
}


# $b - $a at 90 kHz, the short way round.
sub after {
    my ($a, $b, $turn) = @_;

    $turn ||= $wrap;

    my $diff = ($b - $a) % $turn;

    return $diff >= $turn / 2 ? $diff - $turn : $diff;
}


# --- packets ------------------------------------------------------------------

sub packet {
    my ($self, $data, $n) = @_;

    my ($sync, $head, $last) = unpack 'C n C', $data;
    my $pid = $head & 0x1fff;

    $self->error('CMAF-54', "packet $n begins with $sync") if $sync != 0x47;
    $self->error('CMAF-54', "packet $n: transport_error") if $head & 0x8000;
    $self->error('CMAF-54', "packet $n is scrambled") if $last & 0xc0;

    my %p = (n => $n, pid => $pid, start => $head & 0x4000 ? 1 : 0,
             cc => $last & 15, payload => '');

    my $pos = 4;

    if ($last & 0x20) {
        $self->adaptation($data, \%p);
        $pos += 1 + $p{af_length};
    }

    if ($last & 0x10) {
        $p{payload} = substr $data, $pos if $pos < 188;
        $self->error('CMAF-54', "packet $n: no room for its payload")
            if $pos >= 188;

    } elsif ($pos != 188) {
        $self->error('CMAF-58', "packet $n has $p{af_length} of adaptation");
    }

    $self->error('CMAF-54', "packet $n has neither field nor payload")
        unless $last & 0x30;

    push @{ $self->{packets} }, \%p;
    push @{ $self->{pids}{$pid}{list} }, \%p;
}


sub adaptation {
    my ($self, $data, $p) = @_;

    my $length = $p->{af_length} = unpack 'x4 C', $data;

    if ($length > 183) {
        $self->error('CMAF-54', "packet $p->{n}: adaptation of $length");
        $p->{af_length} = 183;
        return;
    }

    return unless $length;

    my $flags = unpack 'x5 C', $data;
    my $used = 1;

    $p->{discontinuity} = $flags & 0x80 ? 1 : 0;
    $p->{random} = $flags & 0x40 ? 1 : 0;

    $self->error('CMAF-54', sprintf 'packet %d: adaptation flags %02x',
                            $p->{n}, $flags) if $flags & 0x2f;

    if ($flags & 0x10) {
        my ($high, $low) = unpack 'x6 N n', $data;

        $p->{pcr} = ($high * 2 + ($low >> 15)) * 300 + ($low & 0x1ff);
        $used += 6;

        $self->error('CMAF-56', "packet $p->{n}: PCR extension")
            if ($low & 0x1ff) >= 300;
    }

    $self->error('CMAF-58', "packet $p->{n}: padding is not FF")
        if substr($data, 5 + $used, $length - $used) =~ /[^\xff]/;
}


# --- tables -------------------------------------------------------------------

sub check_tables {
    my ($self) = @_;

    my @p = @{ $self->{packets} };
    my $pat = $self->section(0, 0) or return;

    my ($number, $pid) = unpack 'n n', substr $pat, 8;
    $pid &= 0x1fff;

    if (length($pat) != 16 || $number == 0) {
        $self->error('HLS-83', 'not one program in the PAT');
        return;
    }

    $self->error('CMAF-55', "PAT and PMT are not the first packets, but " .
                            join ' ', map { $_->{pid} } @p[0 .. 1])
        unless $p[0]{pid} == 0 && $p[1]{pid} == $pid;

    my $pmt = $self->section($pid, 2) or return;

    my ($program, $version, $pcr, $info) = unpack 'x3 n C x2 n n', $pmt;

    $self->error('HLS-83', "program $program of the PMT is not $number")
        if $program != $number;

    my %pmt = (pid => $pid, version => $version >> 1 & 31,
               pcr_pid => $pcr & 0x1fff, streams => {});

    my $pos = 12 + ($info & 0xfff);

    while ($pos + 5 <= length($pmt) - 4) {
        my ($type, $stream, $length) = unpack 'C n n', substr $pmt, $pos;

        $pmt{streams}{$stream & 0x1fff} = $type;
        $pos += 5 + ($length & 0xfff);
    }

    $self->error('HLS-83', 'the length of the PMT')
        if $pos != length($pmt) - 4;

    $self->{pmt} = \%pmt;

    for my $other (sort keys %{ $self->{pids} }) {
        $self->error('CMAF-59', "packets of the unknown PID $other")
            unless $other == 0 || $other == $pid || $pmt{streams}{$other};
    }
}


# The one section of a PID: all packets have the same.
sub section {
    my ($self, $pid, $table) = @_;

    my $list = ($self->{pids}{$pid} || {})->{list};

    if (!$list) {
        $self->error('HLS-83', "there is no table of PID $pid");
        return undef;
    }

    my %seen = map { $_->{payload} => 1 } @$list;
    my $payload = $list->[0]{payload};

    $self->error('HLS-83', "the table of PID $pid changes") if keys %seen > 1;

    my ($pointer, $id, $length) = unpack 'C C n', $payload;
    $length &= 0xfff;

    if ($pointer != 0 || $id != $table || $length + 4 > length $payload) {
        $self->error('HLS-83', "the table of PID $pid is no section $table");
        return undef;
    }

    my $section = substr $payload, 1, 3 + $length;

    $self->error('HLS-83', "the CRC of the table of PID $pid")
        if crc($section) != 0;

    $self->error('HLS-83', "PID $pid: a packet without a start")
        if grep { !$_->{start} } @$list;

    return $section;
}


sub crc {
    my ($data) = @_;

    my $crc = 0xffffffff;

    for my $byte (unpack 'C*', $data) {
        $crc ^= $byte << 24;

        for (1 .. 8) {
            $crc = $crc & 0x80000000 ? ($crc << 1) ^ 0x04c11db7 : $crc << 1;
            $crc &= 0xffffffff;
        }
    }

    return $crc;
}


# --- counters and clocks ------------------------------------------------------

sub check_pid {
    my ($self, $pid, $state) = @_;

    my $last;

    for my $p (@{ $state->{list} }) {
        $state->{packets}++;
        $state->{random}++ if $p->{random};
        $state->{discontinuity}++ if $p->{discontinuity};

        if ($p->{payload} eq '') {
            $self->error('CMAF-54', "PID $pid: packet $p->{n} has CC $p->{cc}"
                                    . ' but no payload')
                if defined $last && $p->{cc} != $last;
            next;
        }

        $self->error('CMAF-54', "PID $pid: packet $p->{n} has CC $p->{cc} " .
                                "behind $last")
            if defined $last && $p->{cc} != ($last + 1) % 16;

        $state->{payloads}++;
        $state->{first_cc} //= $p->{cc};
        $state->{last_cc} = $last = $p->{cc};
    }
}


sub check_pcrs {
    my ($self) = @_;

    return unless $self->{pmt};

    my $pid = $self->{pmt}{pcr_pid};
    my ($media) = grep { $self->{pmt}{streams}{$_->{pid}} }
                  @{ $self->{packets} };

    if (!$media) {
        $self->error('HLS-84', 'there is no media');
        return;
    }

    my ($first) = @{ ($self->{pids}{$pid} || { list => [] })->{list} };

    if (!$first || !defined $first->{pcr}) {
        $self->error('CMAF-55', 'no PCR in the first packet of its PID');
    }

    $self->error('CMAF-55', 'the first packet is no random access')
        if $self->{key} && $first && !$first->{random};

    my $last;

    for my $p (@{ $self->{packets} }) {
        next unless defined $p->{pcr};

        $self->error('CMAF-56', "packet $p->{n} of PID $p->{pid} has a PCR")
            if $p->{pid} != $pid;

        push @{ $self->{pcrs} }, $p->{pcr};

        if (defined $last) {
            my $diff = after($last, $p->{pcr}, $pcr_wrap);

            $self->error('CMAF-56', "packet $p->{n}: PCR " .
                                    $diff / 27000 . ' ms behind the last')
                if $diff <= 0 || $diff > $pcr_most;
        }

        $last = $p->{pcr};
    }
}


# --- elementary streams -------------------------------------------------------

sub streams {
    my ($self) = @_;

    my $pmt = $self->{pmt};

    for my $pid (sort keys %{ $pmt->{streams} }) {
        my $type = $pmt->{streams}{$pid};
        my $name = { 0x1b => 'video', 0x0f => 'audio' }->{$type};

        if (!$name || $self->{$name}) {
            $self->error('HLS-83', "stream type $type of PID $pid");
            next;
        }

        $self->{$name} = { pid => $pid, pes => $self->pes($pid) };
    }

    $self->error('CMAF-56', 'the PCR is not on the video PID')
        if $self->{video} && $pmt->{pcr_pid} != $self->{video}{pid};

    $self->check_video() if $self->{video};
    $self->check_audio() if $self->{audio};
}


# All PES packets of a PID.  The clock is that of the PCR before their first
# byte.
sub pes {
    my ($self, $pid) = @_;

    my (@pes, $clock);

    for my $p (@{ $self->{packets} }) {
        $clock = $p->{pcr} if defined $p->{pcr};

        next if $p->{pid} != $pid || $p->{payload} eq '';

        if ($p->{start}) {
            push @pes, { n => $p->{n}, data => '', pcr => $clock,
                         random => $p->{random} };

        } elsif (!@pes) {
            $self->error('CMAF-58', "PID $pid begins within a PES packet");
            next;
        }

        $pes[-1]{data} .= $p->{payload};
    }

    $self->pes_header($pid, $_) for @pes;

    return \@pes;
}


sub pes_header {
    my ($self, $pid, $pes) = @_;

    my $where = "the PES packet of PID $pid at $pes->{n}";
    my ($prefix, $id, $length, $flags, $more, $head) =
        unpack 'a3 C n C C C', $pes->{data};

    if (length($pes->{data}) < 9 || $prefix ne "\0\0\1"
        || ($flags & 0xc0) != 0x80)
    {
        $self->error('CMAF-57', "$where is none");
        $pes->{data} = '';
        return;
    }

    $self->error('CMAF-58', "$where has $length bytes, not " .
                            (length($pes->{data}) - 6))
        if $length && $length != length($pes->{data}) - 6;

    $pes->{length} = $length;
    $pes->{stream_id} = $id;
    $pes->{aligned} = $flags & 4 ? 1 : 0;
    $pes->{pts} = $self->time(substr($pes->{data}, 9, 5), $more >> 6, $where);
    $pes->{dts} = $more >> 6 == 3
                  ? $self->time(substr($pes->{data}, 14, 5), 1, $where)
                  : $pes->{pts};

    $self->error('CMAF-57', "$where has no time") unless $more & 0x80;
    $self->error('CMAF-57', "$where is decoded after it is presented")
        if after($pes->{dts}, $pes->{pts}) < 0;

    $pes->{data} = substr $pes->{data}, 9 + $head;

    $self->check_lead($pes, $where);
}


sub check_lead {
    my ($self, $pes, $where) = @_;

    if (!defined $pes->{pcr}) {
        $self->error('HLS-84', "$where comes before any PCR");
        return;
    }

    my $lead = after($pes->{pcr} / 300, $pes->{dts});
    my ($least, $most) = $pes->{stream_id} >> 4 == 14
                         ? @pcr_lead : ($pcr_lead[0], $buffer_most);

    $self->error('HLS-84', "$where is decoded " . int($lead / 90) .
                           ' ms after its PCR')
        if $lead < $least || $lead > $most;
}


sub time {
    my ($self, $data, $mark, $where) = @_;

    my ($high, $middle, $low) = unpack 'C n n', $data;

    $self->error('CMAF-57', "$where has no marker bits")
        unless $high & $middle & $low & 1 && $high >> 4 == $mark;

    return ($high >> 1 & 7) * 2 ** 30 + ($middle >> 1) * 2 ** 15
           + ($low >> 1);
}


sub check_order {
    my ($self, $name, $key) = @_;

    my $last;

    for my $pes (@{ $self->{$name}{pes} }) {
        next unless defined $pes->{$key};

        $self->error('HLS-84', "$name: $key goes back at $pes->{n}")
            if defined $last && after($last, $pes->{$key}) <= 0;

        $last = $pes->{$key};
    }
}


# HLS-85: Annex B with an AUD first, and parameter sets before each IDR.
sub check_video {
    my ($self) = @_;

    $self->check_order('video', 'dts');

    for my $pes (@{ $self->{video}{pes} }) {
        my $where = "the picture at $pes->{n}";

        $self->error('CMAF-57', "stream_id $pes->{stream_id} of $where")
            if ($pes->{stream_id} // 0) != 0xe0;

        $self->error('HLS-85', "$where does not begin with an AUD")
            unless $pes->{data} =~ /\A\x00\x00\x00\x01\x09/;

        my @types = map { ord($_) & 31 }
                    $pes->{data} =~ /\x00\x00\x01(.)/sg;

        my $types = join ' ', @types;

        $self->error('HLS-85', "$where has NAL units $types")
            unless $types =~ /\A9( (?:[678]|1[2-9]))*( [15])+( 12)*\z/;

        if (grep { $_ == 5 } @types) {
            $pes->{key} = 1;

            $self->error('HLS-85', "no parameter sets before the IDR: $types")
                unless $types =~ /\A9 (?:\d+ )*7 (?:\d+ )*8 (?:\d+ )*5/;
        }

        $self->error('CMAF-55', "$where: IDR and random access differ")
            if !$pes->{key} != !$pes->{random};
    }
}


# HLS-86: ADTS frames, whole in their PES packet, 200 ms at most.
sub check_audio {
    my ($self) = @_;

    $self->check_order('audio', 'pts');

    for my $pes (@{ $self->{audio}{pes} }) {
        my $where = "the audio at $pes->{n}";
        my $pos = 0;

        $self->error('CMAF-57', "stream_id $pes->{stream_id} of $where")
            if ($pes->{stream_id} // 0) != 0xc0;

        $self->error('CMAF-57', "$where has no length")
            unless $pes->{length};

        $pes->{samples} = 0;

        while ($pos < length $pes->{data}) {
            my ($sync, $head, $a, $b, $c) =
                unpack 'n C C C C', substr $pes->{data}, $pos;
            my $size = 0;

            if ($pos + 7 <= length $pes->{data}) {
                $size = ($a & 3) << 11 | $b << 3 | $c >> 5;
            }

            if ($size < 7 || ($sync & 0xfff6) != 0xfff0
                || $pos + $size > length $pes->{data})
            {
                $self->error('HLS-86', "no ADTS frame at $pos in $where");
                last;
            }

            $pes->{rate} = $rates[$head >> 2 & 15];
            $pes->{samples} += 1024;
            push @{ $pes->{frames} }, substr $pes->{data}, $pos, $size;
            $pos += $size;
        }

        $self->error('HLS-86', "$where lasts too long")
            if $pes->{rate} && $pes->{samples} > 0.2 * $pes->{rate};
    }
}


# --- from one segment to the next ---------------------------------------------

# Both are of one timeline without a discontinuity between them.
sub join_errors {
    my ($from, $to) = @_;

    my @errors;

    for my $pid (sort keys %{ $to->{pids} }) {
        my $last = ($from->{pids}{$pid} || {})->{last_cc};
        my $first = $to->{pids}{$pid}{first_cc};

        push @errors, "HLS-84: CC of PID $pid is $first behind $last"
            if defined $last && $first != ($last + 1) % 16;
    }

    my $diff = @{ $from->{pcrs} } && @{ $to->{pcrs} }
               ? after($from->{pcrs}[-1], $to->{pcrs}[0], $pcr_wrap) : 0;

    push @errors, 'CMAF-56: PCR ' . $diff / 27000 . ' ms behind the last'
        if $diff <= 0 || $diff > $pcr_most;

    push @errors, video_errors($from->{video}{pes}, $to->{video}{pes})
        if $from->{video} && $to->{video};

    push @errors, audio_errors($from->{audio}{pes}, $to->{audio}{pes})
        if $from->{audio} && $to->{audio};

    return @errors;
}


sub video_errors {
    my ($from, $to) = @_;

    return 'HLS-84: no picture' unless @$from && @$to;

    my $diff = after($from->[-1]{dts}, $to->[0]{dts});
    my ($last) = sort { after($b, $a) <=> 0 } map { $_->{pts} } @$from;
    my ($first) = sort { after($b, $a) <=> 0 } map { $_->{pts} } @$to;
    my @errors;

    push @errors, 'HLS-84: video is decoded ' . $diff / 90 .
                  ' ms behind the last segment' if $diff <= 0;

    push @errors, 'HLS-84: a picture of the segment before comes later'
        if after($last, $first) <= 0;

    return @errors;
}


# No gap and no overlap, to a tick of either clock.
sub audio_errors {
    my ($from, $to) = @_;

    return 'HLS-84: no audio' unless @$from && @$to;

    my $last = $from->[-1];
    my $end = $last->{pts} + $last->{samples} * 90000 / ($last->{rate} || 1);
    my $diff = after($end, $to->[0]{pts});

    return "HLS-86: audio begins $diff ticks behind the last segment's end"
        if abs($diff) > 2;

    return;
}


1;
