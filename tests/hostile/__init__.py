"""Attacks on a live server in a process of its own, by sockets that keep to no protocol.

The numbers that the modules name are those of the project's list of attacks:

 1  memory before login            test_before_login
 2  leak per connection            test_before_login
 3  slowloris                      test_before_login
 4  slow readers                   test_readers
 5  nested or inflated bodies      test_frames
 7  differing parsers              test_frames
 8  poisoned order fields          test_frames, test_numbers
 9  poison messages                test_readers
10  replay of a login or a frame   test_replay
14  receipts for what is not there test_isolation
17  objects of others              test_isolation, test_matrix
19  forged senders and edits       test_isolation
21  bytes around the handshake     test_before_login
22  login signed elsewhere         test_replay
26  a loop that is held            python -m tests.hostile (a report, by a stopwatch)
27  secrets and forgery in logs    test_secrets
30  file modes                     test_secrets
"""
