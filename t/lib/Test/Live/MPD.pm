package Test::Live::MPD;

# A strict reader of DASH manifests.  What is against the rules is collected in
# errors, each with the number of its rule (DASH-n).
#
#     my $mpd = Test::Live::MPD->parse($text);
#     # { errors, type, ast, publish, mup, depth, delay, duration (seconds,
#     #   Unix times; undef when absent), utc => [ { scheme, value } ], latency,
#     #   periods => [ { id, start, duration, sets => [ { id, attributes,
#     #     references, reps => [ { id, attributes, template } ] } ] } ] }
#
# A template is { timescale, pto, start_number, end_number, duration (ticks), ato,
# complete, initialization, media, timeline => [ { number, t, d } ] }.

use strict;
use warnings;

use Time::Local qw/ timegm /;

my %inherited = (
    timescale => 'timescale', pto => 'presentationTimeOffset',
    start_number => 'startNumber', end_number => 'endNumber',
    duration => 'duration', ato => 'availabilityTimeOffset',
    complete => 'availabilityTimeComplete',
    initialization => 'initialization', media => 'media',
);


sub parse {
    my ($class, $text) = @_;

    my $self = bless { errors => [], periods => [], utc => [], text => $text,
                       type => '' },
                     $class;

    my $root = $self->xml($text);

    return $self unless $root;

    $self->error(13, "the root is $root->{name}") if $root->{name} ne 'MPD';
    $self->error(13, 'not in the namespace of DASH')
        if ($root->{attributes}{xmlns} // '') ne 'urn:mpeg:dash:schema:mpd:2011';

    $self->manifest($root);
    $self->period($_) for children($root, 'Period');
    $self->check();

    return $self;
}


sub error {
    my ($self, $rule, $text) = @_;

    push @{ $self->{errors} }, "DASH-$rule: $text";
}


# --- XML ----------------------------------------------------------------------

# The root: { name, attributes, children, text }; as much of XML as a manifest
# has.
sub xml {
    my ($self, $text) = @_;

    my $rest = $text;
    my $top = { name => '', children => [], attributes => {} };
    my @open = ($top);

    $rest =~ s/\A<\?xml version="1\.0" encoding="UTF-8"\?>\s*//i
        or $self->error(13, 'no XML declaration');

    while ($rest ne '') {
        if ($rest =~ s/\A([^<]+)//) {
            $open[-1]{text} .= $1;

        } elsif ($rest =~ s/\A<!--.*?-->//s) {
            next;

        } elsif ($rest =~ s{\A</([\w:]+)\s*>}{}) {
            my $element = pop @open;

            return $self->broken("</$1> closes $element->{name}")
                if $element->{name} ne $1 || !@open;

        } elsif ($rest =~ s{\A<([\w:]+)((?:\s+[\w:]+="[^"<]*")*)\s*(/?)>}{}) {
            my $element = { name => $1, children => [], text => '',
                            attributes => $self->attributes($2) };

            push @{ $open[-1]{children} }, $element;
            push @open, $element unless $3;

        } else {
            return $self->broken('at ' . substr $rest, 0, 60);
        }
    }

    return $self->broken("$open[-1]{name} is not closed") if @open != 1;
    return $self->broken('not one root') if @{ $top->{children} } != 1;

    return $top->{children}[0];
}


sub broken {
    my ($self, $what) = @_;

    $self->error(13, "not well-formed: $what");

    return undef;
}


sub attributes {
    my ($self, $text) = @_;

    my %attributes;

    while ($text =~ /([\w:]+)="([^"]*)"/g) {
        my ($name, $value) = ($1, $2);

        $self->error(13, "$name twice") if exists $attributes{$name};
        $self->error(13, "a bare & in $name")
            if $value =~ /&(?!(?:amp|lt|gt|quot|apos|#\d+);)/;

        $value =~ s/&lt;/</g;
        $value =~ s/&gt;/>/g;
        $value =~ s/&quot;/"/g;
        $value =~ s/&apos;/'/g;
        $value =~ s/&amp;/&/g;
        $attributes{$name} = $value;
    }

    return \%attributes;
}


sub children {
    my ($element, $name) = @_;

    return grep { $_->{name} eq $name } @{ $element->{children} };
}


# --- values -------------------------------------------------------------------

sub date {
    my ($self, $text) = @_;

    return undef unless defined $text;

    my ($y, $mo, $d, $h, $mi, $s) = $text =~
        /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d(?:\.\d+)?)Z$/;
    my $time = defined $y ? eval { timegm(0, $mi, $h, $d, $mo - 1, $y) }
                          : undef;

    return $time + $s if defined $time;

    $self->error(13, "bad date $text");

    return undef;
}


sub seconds {
    my ($self, $text) = @_;

    return undef unless defined $text;

    return ($1 || 0) * 86400 + ($2 || 0) * 3600 + ($3 || 0) * 60 + ($4 || 0)
        if $text =~ /^P(?=.)(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?
                     (?:(\d+(?:\.\d+)?)S)?)?$/x;

    $self->error(13, "bad duration $text");

    return undef;
}


# --- what it says -------------------------------------------------------------

sub manifest {
    my ($self, $root) = @_;

    my $a = $self->{attributes} = $root->{attributes};

    $self->{type} = $a->{type} // 'static';
    $self->{ast} = $self->date($a->{availabilityStartTime});
    $self->{publish} = $self->date($a->{publishTime});
    $self->{mup} = $self->seconds($a->{minimumUpdatePeriod});
    $self->{depth} = $self->seconds($a->{timeShiftBufferDepth});
    $self->{delay} = $self->seconds($a->{suggestedPresentationDelay});
    $self->{duration} = $self->seconds($a->{mediaPresentationDuration});
    $self->{longest} = $self->seconds($a->{maxSegmentDuration});
    $self->{buffer} = $self->seconds($a->{minBufferTime});
    $self->{utc} = [ map { utc($_) } children($root, 'UTCTiming') ];

    for my $service (children($root, 'ServiceDescription')) {
        ($self->{latency}) = map { $_->{attributes} }
                             children($service, 'Latency');
    }
}


sub utc {
    my ($element) = @_;

    return { scheme => $element->{attributes}{schemeIdUri} // '',
             value => $element->{attributes}{value} // '' };
}


sub period {
    my ($self, $element) = @_;

    my $a = $element->{attributes};
    my $period = { id => $a->{id}, start => $self->seconds($a->{start}),
                   duration => $self->seconds($a->{duration}), sets => [] };

    $self->error(30, 'a Period without id') unless defined $a->{id};
    $self->error(30, 'a Period without start') unless defined $a->{start};

    for my $set (children($element, 'AdaptationSet')) {
        push @{ $period->{sets} }, $self->set($set, $element);
    }

    push @{ $self->{periods} }, $period;
}


sub set {
    my ($self, $element, @above) = @_;

    my $set = { id => $element->{attributes}{id}, reps => [],
                attributes => $element->{attributes}, references => [] };

    for my $ref (children($element, 'ProducerReferenceTime')) {
        push @{ $set->{references} },
             { %{ $ref->{attributes} },
               time => $self->date($ref->{attributes}{wallClockTime}),
               utc => [ map { utc($_) } children($ref, 'UTCTiming') ] };
    }

    for my $rep (children($element, 'Representation')) {
        push @{ $set->{reps} },
             { id => $rep->{attributes}{id},
               attributes => { %{ $element->{attributes} },
                               %{ $rep->{attributes} } },
               template => $self->template($rep, $element, @above) };
    }

    return $set;
}


# The nearest SegmentTemplate counts, with the attributes of those above it.
sub template {
    my ($self, @elements) = @_;

    my %template = (timescale => 1, pto => 0, start_number => 1, ato => 0,
                    complete => 'true');
    my $timeline;

    for my $element (reverse @elements) {
        for my $t (children($element, 'SegmentTemplate')) {
            for my $name (keys %inherited) {
                my $value = $t->{attributes}{$inherited{$name}};
                $template{$name} = $value if defined $value;
            }

            ($timeline) = children($t, 'SegmentTimeline')
                if children($t, 'SegmentTimeline');
            $template{found} = 1;
        }
    }

    $template{timeline} = $self->timeline($timeline, \%template) if $timeline;

    return \%template;
}


# DASH-24
sub timeline {
    my ($self, $element, $template) = @_;

    my @list;
    my $number = $template->{start_number};
    my $end;

    for my $s (children($element, 'S')) {
        my ($t, $d, $r) = @{ $s->{attributes} }{qw/ t d r /};

        $self->error(24, 'S@n is used') if defined $s->{attributes}{n};
        $self->error(24, 'the first S has no t') unless defined($t // $end);
        $self->error(24, 'an S without d') unless $d;
        $self->error(24, 'r is negative') if ($r // 0) < 0;
        $self->error(24, "S at $t, the one before ends at $end")
            if defined $t && defined $end && $t != $end;

        $t //= $end // 0;

        for (0 .. $r // 0) {
            push @list, { number => $number++, t => $t, d => $d || 0 };
            $t += $d || 0;
        }

        $end = $t;
    }

    return \@list;
}


# --- the whole ----------------------------------------------------------------

sub check {
    my ($self) = @_;

    my $live = $self->{type} eq 'dynamic';

    $self->error(8, 'no Period') unless @{ $self->{periods} };
    $self->error(8, "no $_") for grep { !defined $self->{attributes}{$_} }
                                 qw/ profiles minBufferTime /;

    $self->check_dynamic() if $live;

    # the end of a live stream may be dynamic still (DASH-37)
    $self->error(37, 'an end with minimumUpdatePeriod, or without duration')
        if (!$live || !defined $self->{mup})
           && (defined $self->{mup} || !defined $self->{duration});
    $self->error(8, 'mediaPresentationDuration while it is live')
        if $live && defined $self->{mup} && defined $self->{duration};

    my (%ids, $before, $end);

    for my $period (@{ $self->{periods} }) {
        $self->error(30, 'two Periods of one id')
            if $ids{$period->{id} // ''}++;
        $self->error(30, 'a Period starts before the one before it')
            if defined $before && ($period->{start} // 0) <= $before;

        $self->error(30, 'a Period reaches into the next one')
            if defined $end && ($period->{start} // 0) < $end - 1e-6;

        $before = $period->{start};
        $end = defined $period->{duration}
               ? $before + $period->{duration} : undef;
        $self->check_period($period);
    }

    $self->check_low_latency();
}


sub check_dynamic {
    my ($self) = @_;

    $self->error(8, "no $_") for grep { !defined $self->{attributes}{$_} }
        qw/ availabilityStartTime publishTime timeShiftBufferDepth
            suggestedPresentationDelay maxSegmentDuration /;
    $self->error(6, 'no UTCTiming') unless @{ $self->{utc} };
    $self->error(11, 'suggestedPresentationDelay is over the window')
        if defined $self->{delay} && defined $self->{depth}
           && $self->{delay} > $self->{depth};
}


sub check_period {
    my ($self, $period) = @_;

    my %ids;
    my $name = 'Period ' . ($period->{id} // 'without id');

    $self->error(30, "$name is empty") unless @{ $period->{sets} };

    for my $set (@{ $period->{sets} }) {
        my $a = $set->{attributes};
        my %reps;

        $self->error(16, "$name: AdaptationSet without id, or two of one")
            if !defined $set->{id} || $ids{$set->{id}}++;
        $self->error(16, "$name: no $_")
            for grep { !defined $a->{$_} } qw/ contentType mimeType /;
        $self->error(16, "$name: segmentAlignment is not true")
            if ($a->{segmentAlignment} // '') ne 'true';
        $self->error(16, "$name: startWithSAP is not 1")
            if ($a->{startWithSAP} // '') ne '1';
        $self->error(16, "$name: no Representation") unless @{ $set->{reps} };

        for my $rep (@{ $set->{reps} }) {
            $self->error(17, "$name: Representation without id, or two of one")
                if !defined $rep->{id} || $reps{$rep->{id}}++;
            $self->check_representation($name, $rep);
        }

        my %ato = map { ("$_->{template}{ato} $_->{template}{complete}" => 1) }
                  @{ $set->{reps} };

        $self->error(40, "$name: other availabilityTimeOffset in one set")
            if keys %ato > 1;
    }
}


sub check_representation {
    my ($self, $name, $rep) = @_;

    my ($a, $t) = @$rep{qw/ attributes template /};

    $self->error(17, "$name: no bandwidth")
        unless ($a->{bandwidth} // '') =~ /^[1-9]\d*$/;
    $self->error(17, "$name: no codecs") unless $a->{codecs};
    $self->error(17, "$name: no $_")
        for grep { ($a->{contentType} // '') eq 'video' && !$a->{$_} }
            qw/ width height /;
    $self->error(17, "$name: no audioSamplingRate")
        if ($a->{contentType} // '') eq 'audio' && !$a->{audioSamplingRate};

    return $self->error(23, "$name: no SegmentTemplate") unless $t->{found};

    my @ways = grep { defined } @$t{qw/ timeline duration /};

    $self->error(23, "$name: not one of SegmentTimeline and duration")
        if @ways != 1;
    $self->error(23, "$name: not one of \$Number\$ and \$Time\$")
        if (() = ($t->{media} // '') =~ /\$(?:Number|Time)(?:%0\d+d)?\$/g) != 1;
    $self->error(23, "$name: no initialization")
        unless $t->{initialization};
    $self->error(40, "$name: availabilityTimeOffset is not under a segment")
        if defined $t->{duration}
           && $t->{ato} >= $t->{duration} / $t->{timescale};

    for my $s (@{ $t->{timeline} || [] }) {
        next if $s->{d} / $t->{timescale} <= ($self->{longest} // 9e9) + 0.001;

        $self->error(8, "$name: a segment is over maxSegmentDuration");
        last;
    }
}


# DASH-40, DASH-42, DASH-43, DASH-47: all that low latency has to have.
sub check_low_latency {
    my ($self) = @_;

    return if $self->{type} ne 'dynamic';

    my @sets = map { @{ $_->{sets} } } @{ $self->{periods} };
    my @templates = map { $_->{template} } map { @{ $_->{reps} } } @sets;

    return unless grep { $_->{complete} eq 'false' } @templates;

    $self->error(40, 'a Representation without availabilityTimeOffset')
        if grep { $_->{ato} <= 0 } @templates;
    $self->error(42, 'no Latency target')
        unless ($self->{latency} || {})->{target};
    $self->error(47, 'no UTCTiming with a fraction of a second')
        unless grep { $_->{scheme}
                      =~ /^urn:mpeg:dash:utc:http-(?:xsdate|iso):2014$/ }
               @{ $self->{utc} };

    for my $period (@{ $self->{periods} }) {
        $self->check_references($period);
    }
}


sub check_references {
    my ($self, $period) = @_;

    my %ids;

    for my $set (@{ $period->{sets} }) {
        my $t = $set->{reps}[0]{template};

        next if $t->{complete} ne 'false';

        my ($ref) = @{ $set->{references} };

        unless ($ref && defined $ref->{time} && defined $ref->{id}) {
            $self->error(43, 'no ProducerReferenceTime');
            next;
        }

        $self->error(43, 'two ProducerReferenceTime of one id')
            if $ids{$ref->{id}}++;
        $self->error(43, 'another UTCTiming than the manifest')
            unless join(' ', map { %$_{qw/ scheme value /} } @{ $ref->{utc} })
                   eq join ' ', map { %$_{qw/ scheme value /} }
                                @{ $self->{utc} };

        my $time = $self->{ast} + $period->{start}
                   + ($ref->{presentationTime} - $t->{pto}) / $t->{timescale};

        $self->error(43, sprintf 'ProducerReferenceTime is %.4f s off',
                                 $ref->{time} - $time)
            if abs($ref->{time} - $time) > 0.001;
    }
}


# Whether it says enough to be played.
sub is_usable {
    my ($self) = @_;

    my @periods = @{ $self->{periods} };
    my @sets = map { @{ $_->{sets} } } @periods;
    my @reps = map { @{ $_->{reps} } } @sets;
    my @needed = (
        (map { @$_{qw/ id start /} } @periods), (map { $_->{id} } @sets, @reps),
        map { @{ $_->{template} }{qw/ found initialization media /},
              $_->{template}{timeline} // $_->{template}{duration} } @reps);

    push @needed, @$self{qw/ ast publish depth longest /}
        if $self->{type} eq 'dynamic';

    return @reps && !grep { !defined } @needed;
}


# The URI of a segment or of the init segment of a Representation.
sub uri {
    my ($rep, $number, $time) = @_;

    my $uri = defined $number ? $rep->{template}{media}
                              : $rep->{template}{initialization};

    $uri =~ s/\$RepresentationID\$/$rep->{id}/g;
    $uri =~ s/\$Number(?:%0(\d+)d)?\$/sprintf '%0' . ($1 || 1) . 'd', $number/e;
    $uri =~ s/\$Time\$/$time/;

    return $uri;
}


1;
