package Test::Live::Metrics;

# Metrics in Prometheus' text format, read strictly.
#
#     my $m = Test::Live::Metrics->get($t, '/metrics');
#
#     $m->value('live_stream_up', stream => 'a');   # of the first that fits
#     $m->all('live_stream_up');                    # ({ labels, value }, ...)
#     $m->promtool();                               # what it complains of
#     $m->{errors}                                  # what is not as it must be

use strict;
use warnings;


sub get {
    my ($class, $t, $path) = @_;

    my $r = $t->get($path);
    my $self = bless {
        t => $t, text => $r->{body}, errors => [], order => [],
        type => $r->{headers}{'content-type'}, samples => {}, types => {},
        status => $r->{status},
    }, $class;

    $self->parse();

    return $self;
}


sub parse {
    my ($self) = @_;

    my ($family, %seen, %families) = ('');
    my $label = qr/[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*"/;

    push @{ $self->{errors} }, 'the last line does not end'
        unless $self->{text} =~ /\n\z/;

    for my $line (split /\n/, $self->{text}) {

        if ($line =~ /^# HELP (\w+) \S/) {
            push @{ $self->{errors} }, "$1 comes twice" if $families{$1}++;
            push @{ $self->{order} }, $family = $1;
            next;
        }

        if ($line =~ /^# TYPE (\w+) (counter|gauge|histogram)$/) {
            push @{ $self->{errors} }, "type of $1 below $family"
                unless $1 eq $family;
            $self->{types}{$1} = $2;
            next;
        }

        my ($name, $labels, $value) = $line =~
            /^(\w+)(?:\{($label(?:,$label)*)\})? (\d+(?:\.\d+)?)$/;

        unless (defined $name) {
            push @{ $self->{errors} }, "line: $line";
            next;
        }

        push @{ $self->{errors} }, "$name below $family"
            unless $name eq $family
                   || (($self->{types}{$family} || '') eq 'histogram'
                       && $name =~ /^\Q$family\E_(bucket|sum|count)$/);

        push @{ $self->{errors} }, "twice: $name {" . ($labels // '') . '}'
            if $seen{"$name {" . ($labels // '')}++;

        push @{ $self->{samples}{$name} },
             { labels => labels($labels // ''), value => $value };
    }
}


sub labels {
    my ($text) = @_;

    my %labels;

    while ($text =~ /(\w+)="((?:[^"\\]|\\.)*)"/g) {
        my ($name, $value) = ($1, $2);

        $value =~ s/\\(.)/$1 eq 'n' ? "\n" : $1/ge;
        $labels{$name} = $value;
    }

    return \%labels;
}


sub all {
    my ($self, $name) = @_;

    return @{ $self->{samples}{$name} || [] };
}


sub value {
    my ($self, $name, %labels) = @_;

    for my $sample ($self->all($name)) {
        next if grep { ($sample->{labels}{$_} // '') ne $labels{$_} }
                keys %labels;
        return $sample->{value} + 0;
    }

    return undef;
}


sub families { return @{ $_[0]{order} } }


sub has_samples {
    my ($self, $family) = @_;

    return exists $self->{samples}{$family}
           || exists $self->{samples}{"${family}_count"};
}


sub promtool {
    my ($self) = @_;

    my $t = $self->{t};
    my $path = $t->write_file('metrics.txt', $self->{text});
    my ($code, $output) = $t->command('sh', '-c',
        'promtool check metrics < "$1"', 'sh', $path);

    return $code ? "exit $code: $output" : $output;
}


1;
