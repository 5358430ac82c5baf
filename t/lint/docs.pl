#!/usr/bin/env perl

# Every directive and variable has its place in docs/directives.md and is
# named in a test; every metric has its in docs/metrics.md.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::Lint;
use Test::More;

my $reference = 'docs/directives.md';

my $docs = -f $reference ? slurp($reference) : '';
my $tests = join '', map { slurp($_) } glob('t/*.t');

# heading => the text below it
my %section;

while ($docs =~ /^#+ +`?([\w\$]+)`?[^\n]*\n(.*?)(?=^#+ |\z)/msg) {
    $section{$1} .= $2;
}

my (%directives, %variables);

for my $file (files(qr/\.c$/, 'src')) {
    my $text = slurp($file);

    # the first member of a table's row, and what follows it
    while ($text =~ /\{\s*ngx_string\("([a-z0-9_]+)"\),\s*([^,]+),/g) {
        my ($name, $second) = ($1, $2);

        if ($second =~ /_CONF\b/) {
            $directives{$name} = $file;

        } elsif ($text =~ /ngx_(http|stream)_variable_t/
                 && $second =~ /^(NULL|ngx_\w+)$/)
        {
            $variables{$name} = $file;
        }
    }
}

ok(%directives, 'there are directives');

none("each directive has Syntax, Default, Context in $reference", map {
    my $name = $_;
    my $text = $section{$name};
    my @lacking = grep { !defined $text || $text !~ /\b$_\b/ }
                  qw/ Syntax Default Context /;

    @lacking ? "$name ($directives{$name}): no @lacking" : ()
} sort keys %directives);

none('each directive is in a test', map { "$_ ($directives{$_})" }
     grep { $tests !~ /\b\Q$_\E\b/ } sort keys %directives);

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
