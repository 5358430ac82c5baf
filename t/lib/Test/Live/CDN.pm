package Test::Live::CDN;

# An origin, one of the caches of examples/cdn in front of it, and players by
# the hundred in front of that.
#
#     my $cdn = Test::Live::CDN->new($t);     # the origin, with stream live/a
#
#     $cdn->varnish() or ...;                 # or nginx(), trafficserver()
#     $cdn->reset();                          # forget what was asked
#
#     my $r = $cdn->players(mode => 'll', players => 200, seconds => 8);
#     my $times = $cdn->asked();              # { URI => how often } since
#
# The origin has two servers on the same streams: one for the cache, with a
# log, and one without for whoever wants to know what is right.

use strict;
use warnings;

use File::Basename qw/ dirname /;
use File::Path qw/ make_path /;
use JSON::PP qw/ decode_json encode_json /;
use Test::More ();
use Test::Live;
use Time::HiRes qw/ time /;

# How long a cache may take to start.
use constant START_LIMIT => 40;

# Closes its first response in the middle, and is asked by the origin for
# what is below /broken/.
my $broken = <<'PERL';
use IO::Socket::INET;
my $n = 0;
my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1:$ARGV[0]", Listen => 9,
                              ReuseAddr => 1) or die "listen: $!";
while (my $c = $s->accept()) {
    while (<$c>) { last if /^\r?$/ }
    my $body = "x" x 50000;
    print $c "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n",
             "Cache-Control: public, max-age=31536000, immutable\r\n",
             "Content-Type: video/mp4\r\nConnection: close\r\n\r\n",
             sprintf("%x\r\n", 50000), $body, "\r\n";
    $c->flush();
    select undef, undef, undef, 0.3;
    print $c "5\r\nwhole\r\n0\r\n\r\n" if $n++;
    close $c;
}
PERL


sub new {
    my ($class, $t, %option) = @_;

    my $self = bless { t => $t, log => 'origin.log', mark => 0,
                       path => '/live/a', %option }, $class;

    return $self if $option{origin};

    $t->write_file_expand('nginx.conf', origin_conf());
    $t->write_file('broken.pl', $broken);
    $t->spawn($^X, $t->dir() . '/broken.pl', $t->port(8070));
    $t->run();

    $self->{origin} = $t->port(8080);
    $self->{probe} = $t->port(8090);

    return $self;
}


sub origin_conf {
    return <<"CONF" =~ s/~/%%/gr;
~TEST_GLOBALS~
worker_processes 2;
events { worker_connections 4096; }
live {
    zone 128m;
    application live {
        segment 2s max=2s;
        part 500ms;
        window 20s;
        resume 1h;
        publish_stall 30s;
    }
}
stream { server { listen 127.0.0.1:~PORT_1935~; live_rtmp; } }
http {
    ~TEST_GLOBALS_HTTP~
    log_format origin '\$msec \$status \$request_uri';
    keepalive_requests 100000;

    # also of players that a busy machine keeps from asking in time
    live_cache_control blocking "public, max-age=60";

    server {
        listen 127.0.0.1:~PORT_8080~;
        access_log ~DIR~/origin.log origin;
        location /live/ { live_play live; }
        location /broken/ {
            proxy_pass http://127.0.0.1:~PORT_8070~;
            proxy_http_version 1.1;
            proxy_buffering off;
        }
    }
    server {
        listen 127.0.0.1:~PORT_8090~;
        access_log off;
        location /live/ { live_play live; }
    }
}
CONF
}


# The encoder; its clip has no seam while players of low latency look on.
sub publish {
    my ($self) = @_;

    my $t = $self->{t};
    my $pid = $t->ffmpeg_publish('live/a', loop => -1, clip => {
        seconds => 60, gop => 60, size => '640x360',
        extra => [qw/ -b:v 1M -maxrate 1M -bufsize 1M /],
    });

    $t->wait_for(sub { @{ $self->segments() } >= 3 }, 40, 'three segments');

    return $pid;
}


# --- the caches ---------------------------------------------------------------

# Each starts one and is true when it answers.

sub nginx {
    my ($self) = @_;

    my $t = $self->{t};
    my $port = $t->free_port();
    my $dir = $t->dir() . '/shield';
    my $text = $self->example('nginx.conf');

    make_path(map { "$dir/$_" } qw/ tmp logs /);

    $text =~ s{/dev/shm/live}{$dir/cache}g or die;
    $text =~ s{listen 8081}{listen 127.0.0.1:$port} or die;

    my $temp = join '', map { "    ${_}_temp_path $dir/tmp/$_;\n" }
                        qw/ client_body proxy fastcgi uwsgi scgi /;

    $text =~ s/^http \{\n/http {\n$temp/m or die;
    $text = "daemon off;\n" . ($> == 0 ? "user root;\n" : '') . $text;

    $t->write_file("$dir/nginx.conf", $text);

    return $self->started('nginx', $port, $t->spawn(
        $t->binary(), '-p', "$dir/", '-c', "$dir/nginx.conf",
        '-e', "$dir/logs/error.log"));
}


sub varnish {
    my ($self) = @_;

    my $t = $self->{t};
    my $port = $t->free_port();
    my $dir = $t->dir();

    $t->write_file('varnish.vcl', $self->example('varnish.vcl'));

    return $self->started('Varnish', $port, $t->spawn(
        Test::Live::find_program('varnishd'), qw/ -F -j none /,
        '-a', "127.0.0.1:$port", '-f', "$dir/varnish.vcl",
        '-n', "$dir/varnish", '-s', 'malloc,128m', '-T', 'none'));
}


# A root of its own: Debian's files, with those of the example over them.
sub trafficserver {
    my ($self) = @_;

    my $t = $self->{t};
    my $port = $t->free_port();
    my $dir = $t->dir() . '/ats';

    make_path(map { "$dir/$_" } qw/ run log cache /);
    system('cp', '-r', '/etc/trafficserver', "$dir/etc") == 0
        or die "Traffic Server is not installed\n";

    $t->write_file("$dir/runroot.yaml", runroot($dir));
    $t->write_file("$dir/etc/$_", $self->example("trafficserver/$_"))
        for qw/ remap.config cache.config /;

    $t->write_file("$dir/etc/storage.config", "$dir/cache 256M\n");
    $t->write_file("$dir/etc/records.config",
                   $self->records("$dir/etc/records.config", $port));

    return $self->started('Traffic Server', $port, $t->spawn(
        Test::Live::find_program('traffic_server'),
        "--run-root=$dir/runroot.yaml"));
}


sub runroot {
    my ($dir) = @_;

    my %at = (prefix => $dir, exec_prefix => '/usr', bindir => '/usr/bin',
              sbindir => '/usr/sbin', sysconfdir => "$dir/etc",
              datadir => "$dir/cache", includedir => '/usr/include',
              libdir => '/usr/lib/trafficserver',
              libexecdir => '/usr/lib/trafficserver/modules',
              localstatedir => $dir, runtimedir => "$dir/run",
              logdir => "$dir/log", cachedir => "$dir/cache");

    return join '', map { "$_: $at{$_}\n" } sort keys %at;
}


# The installed lines, those of the example instead where it has such.
sub records {
    my ($self, $installed, $port) = @_;

    my $name = qr/^CONFIG\s+(\S+)/;
    my $example = $self->example('trafficserver/records.config');

    $example =~ s/(server_ports STRING) 8081/$1 $port:ip-in=127.0.0.1/ or die;
    $example .= "CONFIG proxy.config.admin.user_id STRING #-1\n"
              . "CONFIG proxy.config.exec_thread.autoconfig INT 0\n"
              . "CONFIG proxy.config.exec_thread.limit INT 2\n";
    $example =~ s/(ram_cache\.size INT) 1G/$1 64M/ or die;

    my %set = map { $_ => 1 } $example =~ /$name/mg;

    my @kept = grep { !(/$name/ && $set{$1}) }
               split /\n/, $self->{t}->read_file($installed);

    return join("\n", @kept) . "\n$example";
}


# An example with the address of our origin in it.
sub example {
    my ($self, $name) = @_;

    my $t = $self->{t};
    my $text = $t->read_file($t->root() . "/examples/cdn/$name")
        // die "there is no examples/cdn/$name\n";

    $text =~ s/127\.0\.0\.1:8080/127.0.0.1:$self->{origin}/g;
    $text =~ s/(\.port = )"8080"/$1"$self->{origin}"/;

    return $text;
}


# It answers, if only with 404.  The origin logs behind its answer: what asks
# what it was asked begins when it has.
sub started {
    my ($self, $name, $port, $pid) = @_;

    my $t = $self->{t};

    $self->reset();

    my $up = $t->wait_for(sub {
        !$t->is_running($pid) && -1
        || $t->get('/none', port => $port)->{status} == 404
           && $self->asked()->{'/none'};
    }, START_LIMIT, "$name");

    Test::More::diag($t->output($pid)) unless $up && $up > 0;

    $self->{port} = $port;
    $self->{name} = $name;

    return Test::More::ok($up && $up > 0, "$name runs by its example");
}


# --- what the origin was asked ------------------------------------------------

sub reset {
    my ($self) = @_;

    $self->{mark} = length($self->{t}->read_file($self->{log}) // '');
}


# How often by URI; of one status where it is given.
sub asked {
    my ($self, $status) = @_;

    my $when = $self->asked_when($status);

    return { map { $_ => scalar @{ $when->{$_} } } keys %$when };
}


# When, by URI; of the query what belongs to the key.
sub asked_when {
    my ($self, $status) = @_;

    my $t = $self->{t};
    my $mark = '/asked/' . ++$self->{marks};
    my ($log, %when);

    # a line comes after its response: one behind all others is waited for
    $t->get($mark, port => $self->{origin});
    $t->poll(sub { ($log = $t->read_file($self->{log})) =~ / $mark$/m }, 10);

    for (split /\n/, substr $log, $self->{mark}) {
        my ($time, $got, $uri) = /^([\d.]+) (\d+) (\S+)/ or next;

        next if defined $status && $got != $status;

        next if $uri =~ m{^/asked/};

        my ($path, $query) = split /\?/, $uri, 2;
        my @kept = sort grep { /^_HLS_/ } split /&/, $query // '';

        push @{ $when{ join '?', $path, @kept ? join('&', @kept) : () } },
             $time;
    }

    return \%when;
}


# --- players ------------------------------------------------------------------

# What cdn-players.js prints; an empty hash when it failed.
sub players {
    my ($self, %option) = @_;

    my $t = $self->{t};
    my $out = 'players.' . ++$self->{runs} . '.json';

    my $pid = $t->spawn({ stdout => $out }, Test::Live::find_program('node'),
        dirname(__FILE__) . '/cdn-players.js',
        encode_json({ cache => $self->{port}, origin => $self->{probe},
                      path => $self->{path}, %option }));

    my $code = $t->wait_exit($pid, ($option{seconds} || 0) + 90);

    $t->end($pid, 'KILL') unless defined $code;

    return decode_json($t->read_file($out))
        if defined $code && $code == 0;

    Test::More::diag($t->output($pid));

    return {};
}


# --- looks --------------------------------------------------------------------

# Through the cache, and at the origin.
sub get {
    my ($self, $path, %option) = @_;

    return $self->{t}->get($path, port => $self->{port}, %option);
}


sub truth {
    my ($self, $path, %option) = @_;

    return $self->{t}->get($path, port => $self->{probe}, %option);
}


sub playlist { return "$_[0]{path}/source/playlist.m3u8" }


# [[msn, name], ...] of the complete segments of a playlist's text.
sub segments {
    my ($self, $text) = @_;

    $text //= $self->truth($self->playlist())->{body};

    my ($msn) = $text =~ /^#EXT-X-MEDIA-SEQUENCE:(\d+)/m or return [];

    return [ map { [ $msn++, $_ ] } $text =~ /^([^#\s].*)$/mg ];
}


# The path of a segment by its number.
sub segment {
    my ($self, $msn) = @_;

    my $name = $self->segments()->[-1][1];

    return "$self->{path}/source/" . $name =~ s/-\d+\.m4s$/-$msn.m4s/r;
}


sub newest { return $_[0]->segments($_[1])->[-1][0] }


1;
