#!/usr/bin/perl
# Net::Stomp against the broker at TIDEGATE_STOMP_PORT. Ends with 0 if everything was as it should be.
use strict;
use warnings;
use Net::Stomp;

alarm 60;
my $port = $ENV{TIDEGATE_STOMP_PORT};

sub connection {
    my $stomp = Net::Stomp->new({ hostname => '127.0.0.1', port => $port, logger => undef });
    my $answer = $stomp->connect({ login => 'anyone', passcode => 'anything' });
    die "no CONNECTED" unless $answer->command eq 'CONNECTED';
    return $stomp;
}

sub check {
    my ($good, $what) = @_;
    die "$what\n" unless $good;
}

# Persistent messages with receipts, acknowledged by their message-id.
my $stomp = connection();
for my $number (1 .. 5) {
    check($stomp->send_with_receipt({
        destination => '/queue/perl.a', body => "body $number", persistent => 'true',
    }), "no receipt");
}
$stomp->subscribe({
    destination => '/queue/perl.a', ack => 'client', 'activemq.prefetchSize' => 2,
});
for my $number (1 .. 4) {
    my $frame = $stomp->receive_frame;
    check($frame->body eq "body $number", "order: " . $frame->body);
    $stomp->ack({ frame => $frame });
}
my $held = $stomp->receive_frame;
check($held->body eq 'body 5', "order: " . $held->body);
$stomp->disconnect;

# What was not acknowledged comes back, flagged.
$stomp = connection();
$stomp->subscribe({ destination => '/queue/perl.a', ack => 'client' });
my $back = $stomp->receive_frame;
check($back->body eq 'body 5', "what came back: " . $back->body);
check($back->headers->{redelivered} eq 'true', "not flagged");
$stomp->ack({ frame => $back });
$stomp->unsubscribe({ destination => '/queue/perl.a' });

# A transaction.
check($stomp->send_transactional({ destination => '/queue/perl.tx', body => 'kept', persistent => 'true' }),
    "the transaction failed");
$stomp->subscribe({ destination => '/queue/perl.tx', ack => 'auto' });
check($stomp->receive_frame->body eq 'kept', "transaction");
$stomp->disconnect;

# Each application has all messages of a virtual topic; a wildcard is about many queues.
$stomp = connection();
for my $application ('A', 'B') {
    $stomp->subscribe({ destination => "/queue/Consumer.$application.VirtualTopic.perl", ack => 'auto' });
}
$stomp->subscribe({ destination => '/queue/perl.wild.*', ack => 'auto' });
$stomp->send({ destination => '/topic/VirtualTopic.perl', body => 'all', persistent => 'true' });
my %seen = map { $stomp->receive_frame->headers->{destination} => 1 } 1 .. 2;
check(join(' ', sort keys %seen) eq '/queue/Consumer.A.VirtualTopic.perl /queue/Consumer.B.VirtualTopic.perl',
    "virtual topic: " . join(' ', sort keys %seen));
$stomp->send({ destination => '/queue/perl.wild.a', body => 'x' });
check($stomp->receive_frame->headers->{destination} eq '/queue/perl.wild.a', "wildcard");

# Messages of a group come in order, whatever else there is.
$stomp->subscribe({ destination => '/queue/perl.groups', ack => 'client' });
$stomp->send({ destination => '/queue/perl.groups', body => $_, JMSXGroupID => 'g' }) for 1 .. 3;
for my $number (1 .. 3) {
    my $frame = $stomp->receive_frame;
    check($frame->body eq $number && $frame->headers->{JMSXGroupID} eq 'g', "group: " . $frame->body);
    $stomp->ack({ frame => $frame });
}
$stomp->disconnect;

# A durable subscription has what was sent while nobody read it; what is scheduled comes later.
sub durable {
    my $connection = Net::Stomp->new({ hostname => '127.0.0.1', port => $port, logger => undef });
    $connection->connect({ login => 'anyone', passcode => 'anything', 'client-id' => 'perl-durable' });
    $connection->subscribe({
        destination => '/topic/perl.durable', ack => 'auto', 'activemq.subscriptionName' => 'perl',
    });
    return $connection;
}
$stomp = durable();
check($stomp->send_with_receipt({ destination => '/queue/perl.sync', body => 'x' }), "no receipt");
$stomp->disconnect;
$stomp = connection();
check($stomp->send_with_receipt({ destination => '/topic/perl.durable', body => 'missed', persistent => 'true' }),
    "no receipt");
$stomp->disconnect;
$stomp = durable();
check($stomp->receive_frame->body eq 'missed', "durable subscription");
$stomp->subscribe({ destination => '/queue/perl.later', ack => 'auto' });
$stomp->send({ destination => '/queue/perl.later', body => 'later', AMQ_SCHEDULED_DELAY => 200 });
$stomp->send({ destination => '/queue/perl.later', body => 'now' });
check($stomp->receive_frame->body eq $_, "scheduled: $_") for 'now', 'later';
$stomp->disconnect;
