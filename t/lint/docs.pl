#!/usr/bin/env perl

# Every directive and variable has its place in docs/directives.md, with the
# context and the default that the code has, and is used by a test; every metric
# has its in docs/metrics.md.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::Lint;
use Test::More;

my $reference = 'docs/directives.md';

my $docs = -f $reference ? slurp($reference) : '';
my $tests = join('', map { slurp($_) } glob('t/*.t')) =~ s/^\s*#.*//mgr;

# heading => the text below it
my %section;

while ($docs =~ /^#+ +`?([\w\$]+)`?[^\n]*\n(.*?)(?=^#+ |\z)/msg) {
    $section{$1} .= $2;
}

# flag of a command => what the reference calls it
my %context = (
    NGX_MAIN_CONF        => 'main',
    NGX_LIVE_MAIN_CONF   => 'live',
    NGX_LIVE_APP_CONF    => 'application',
    NGX_STREAM_MAIN_CONF => 'stream',
    NGX_STREAM_SRV_CONF  => 'server of stream',
    NGX_HTTP_MAIN_CONF   => 'http',
    NGX_HTTP_SRV_CONF    => 'server',
    NGX_HTTP_LOC_CONF    => 'location',
    NGX_HTTP_LIF_CONF    => 'if in location',
);

my (%directives, %variables, %contexts, %merged, %words, %defines, %fields);

for my $file (files(qr/\.c$/, 'src')) {
    my $text = slurp($file);

    # the first member of a table's row, and what follows it
    while ($text =~ /\{\s*ngx_string\("([a-z0-9_]+)"\),\s*([^,]+),/g) {
        my ($name, $second) = ($1, $2);

        if ($second =~ /_CONF\b/) {
            $directives{$name} = $file;
            $contexts{$name} = join ', ',
                               sort grep { defined } map { $context{$_} }
                               split /\s*\|\s*/, $second;

            # of the structure, what has not the directive's name
            $fields{$name} = $1
                if $text =~ /\{\s*ngx_string\("$name"\),(?:[^,}]+,){3}\s*
                             (?:offsetof\(\w+,\s*|\w+\()(\w+)\)/x;

        } elsif ($text =~ /ngx_(http|stream)_variable_t/
                 && $second =~ /^(NULL|ngx_\w+)$/)
        {
            $variables{$name} = $file;
        }
    }

    $words{$2} = $1
        while $text =~ /\{\s*ngx_string\("(\w+)"\),\s*([A-Z]\w+)\s*\}/g;

    $merged{$1} = $2
        while $text =~ /ngx_conf_merge_\w+\(conf->(\w+),[^,]+,\s*([^;]+)\);/g;
}

for my $file (files(qr/\.[ch]$/, 'src')) {
    my $text = slurp($file);

    $defines{$1} = $2 while $text =~ /^#define (\w+) +([\d(][\d *()]*)$/mg;
}

ok(%directives, 'there are directives');

none("each directive has Syntax, Default, Context in $reference", map {
    my $name = $_;
    my $text = $section{$name};
    my @lacking = grep { !defined $text || $text !~ /\b$_\b/ }
                  qw/ Syntax Default Context /;

    @lacking ? "$name ($directives{$name}): no @lacking" : ()
} sort keys %directives);

none("each directive's Context in $reference is that of its command", map {
    my ($said) = ($section{$_} // '') =~ /^ *Context: +(.*?) *$/m;

    $said = join ', ', sort split /, /, $said // '';
    $said eq $contexts{$_} ? () : "$_: $said, $contexts{$_} in $directives{$_}"
} sort keys %directives);

my $compared = 0;

none("each directive's Default in $reference is that of its command", map {
    my $name = $_;
    my ($said) = ($section{$name} // '') =~ /^ *Default: +(.*?) *$/m;
    my $value = $merged{$fields{$name} // $name =~ s/^live_//r};

    defined $said ? wrong_default($name, $said, $value) : ()
} sort keys %directives);

cmp_ok($compared, '>', 25, "of $compared the code shows it");

none('each directive is used by a test', map { "$_ ($directives{$_})" }
     grep { $tests !~ /\b\Q$_\E(?: +[^ =]|;)/ } sort keys %directives);

none("each variable is in $reference", map { "$_ ($variables{$_})" }
     grep { $docs !~ /\$\Q$_\E\b/ } sort keys %variables);

none('each variable is in a test', map { "$_ ($variables{$_})" }
     grep { $tests !~ /\$\{?\Q$_\E\b/ } sort keys %variables);

my %known = (%directives, %variables);

none("$reference documents nothing that is not there", map { "$_" }
     grep { $section{$_} =~ /\bSyntax\b/ && !$known{$_} } sort keys %section);

# --- metrics ------------------------------------------------------------------

my $metrics = slurp('docs/metrics.md');
my %metrics = (live_track_info => 'gauge');
my $list = slurp('src/http/ngx_http_live_metrics.h') =~ s/\\\n//gr;

$metrics{$1} = $2
    while $list =~ /\bM\(\w+,\s*(\w+),\s*(gauge|counter|histogram),/g;

cmp_ok(scalar keys %metrics, '>', 20, 'there are metrics');

none('each metric is in docs/metrics.md, with its type', map { $_ }
     grep { $metrics !~ /^\| `$_` \| $metrics{$_} \| \S/m } sort keys %metrics);

none('docs/metrics.md has no others', grep { !$metrics{$_} }
     $metrics =~ /^\| `(\w+)` \|/mg);

# of a histogram, series have longer names

none('alert rules and the dashboard use metrics that are there', map {
    my $file = $_;

    map { "$file: $_" } grep { !$metrics{ s/_bucket$//r } && !$known{$_} }
        slurp($file) =~ /\b((?:live|streaming)_[a-z_]+)/g;
} glob('examples/prometheus/*.json examples/prometheus/alerts.yml'));

done_testing();


# Why what is said is not what is merged; nothing where that cannot be told.
sub wrong_default {
    my ($name, $said, $value) = @_;

    return if $said =~ /^- *(?:\(|$)/;
    return "$name: $said" unless $said =~ /^$name (\S+?)(?: .*)?;/;

    my $word = $1;

    return unless defined $value;

    $value =~ s/^\s+//;
    $value = $words{$value} // $defines{$value} // $value;

    return if $value !~ /^[\d *()]+$/ && $value !~ /^(?:NULL|[a-z_]+)$/;

    $compared++;

    return if $word eq $value;
    return if $word eq 'off' && $value eq 'NULL';

    my $got = eval $value;

    return if defined $got && grep { $_ == $got } numbers($word);
    return "$name: $said, $value in $directives{$name}";
}


# What a word of the configuration can be as a number: milliseconds, bytes,
# bit/s.
sub numbers {
    my ($word) = @_;

    return 1 if $word eq 'on';
    return 0 if $word eq 'off';

    my ($n, $unit) = $word =~ /^(\d+)(\w*)$/ or return;
    my %factors = (
        '' => [ 1 ], ms => [ 1 ], s => [ 1000 ], h => [ 3_600_000 ],
        k => [ 1000, 1024 ], m => [ 60_000, 1_000_000, 1_048_576 ],
    );

    return map { $n * $_ } @{ $factors{$unit} || [] };
}
