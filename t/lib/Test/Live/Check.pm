package Test::Live::Check;

# What the checks of HLS and of DASH share: complaints, counts, and the headers
# of answers.

use strict;
use warnings;


sub new {
    my ($class, $crawl) = @_;

    return bless { crawl => $crawl, found => {}, violations => [],
                   timing => [], counts => {} }, $class;
}


# Each complaint once.
sub bad {
    my ($self, $where, $rule, $text) = @_;

    my $line = "$where: $rule: $text";

    push @{ $self->{violations} }, $line unless $self->{found}{$line}++;
}


sub count {
    my ($self, $what, $n) = @_;

    $self->{counts}{$what} += $n // 1;
}


# A matter of timing, which a busy machine can spoil: not a violation.
sub late {
    my ($self, $text) = @_;

    push @{ $self->{timing} }, $text;
}


# --- headers ------------------------------------------------------------------

sub header {
    my ($r, $name) = @_;

    my $value = $r->{headers}{$name} // '';

    return ref $value ? join ', ', @$value : $value;
}


sub max_age {
    my ($r) = @_;

    my $control = header($r, 'cache-control');

    return 0 if $control =~ /\bno-(?:store|cache)\b/;
    return $control =~ /\bmax-age=(\d+)/ ? $1 : undef;
}


sub error_headers {
    my ($self, $name, $what, $r) = @_;

    my $age = max_age($r);

    $self->bad($name, 'HTTP-13', "$what, Cache-Control \""
                                 . header($r, 'cache-control') . '"')
        if !defined $age || $age > 1;
    $self->cors($name, $r);
}


sub cors {
    my ($self, $name, $r) = @_;

    $self->bad($name, 'HTTP-34', "$r->{status} without CORS")
        if header($r, 'access-control-allow-origin') ne '*';
}


1;
