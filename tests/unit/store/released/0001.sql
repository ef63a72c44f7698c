-- Made at 2026-11-25T12:30:00+00:00 by scripts/dump_release.py; never to be changed.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE bookings (
	id TEXT NOT NULL, 
	widget TEXT NOT NULL, 
	status TEXT NOT NULL, 
	service_id TEXT NOT NULL, 
	service_name TEXT NOT NULL, 
	resource_id TEXT NOT NULL, 
	resource_name TEXT NOT NULL, 
	any_resource BOOLEAN NOT NULL, 
	location_id TEXT NOT NULL, 
	location_name TEXT NOT NULL, 
	time_zone TEXT NOT NULL, 
	starts_at DATETIME NOT NULL, 
	ends_at DATETIME NOT NULL, 
	buffer_starts_at DATETIME NOT NULL, 
	buffer_ends_at DATETIME NOT NULL, 
	occupies BOOLEAN NOT NULL, 
	hapio_booking_id TEXT, 
	hapio_unsure BOOLEAN NOT NULL, 
	terms JSON NOT NULL, 
	deadline DATETIME NOT NULL, 
	extensions INTEGER NOT NULL, 
	was_expired BOOLEAN NOT NULL, 
	payment_id TEXT, 
	end_reason TEXT, 
	customer JSON, 
	visitor_key TEXT NOT NULL, 
	visitor JSON NOT NULL, 
	revision INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	confirmed_at DATETIME, 
	next_try_at DATETIME, 
	tries INTEGER NOT NULL, 
	hapio_canceled BOOLEAN NOT NULL, 
	canceled_at DATETIME, 
	undo_until DATETIME, 
	moves INTEGER NOT NULL, 
	no_show BOOLEAN NOT NULL, 
	link_version INTEGER NOT NULL, 
	customer_email TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "bookings" VALUES('bk_07417ce42c8218072e8c','studio','confirmed','eb1167b3-67a9-4378-bc65-c1e582e2e662','Portrait session','23a7711a-8133-4876-b7eb-dcd9e87a1613','Astrid Lindqvist',1,'f728b4fa-4248-4e3a-8a5d-2f346baa9455','Studio Nord, Hornsgatan 12','Europe/Stockholm','2026-11-23 12:00:00.000000','2026-11-23 13:00:00.000000','2026-11-23 12:00:00.000000','2026-11-23 13:15:00.000000',1,'2648ee38-e074-45eb-a156-63abc1f254b8',0,'{"amount": 120000, "currency": "sek", "tiers": [[24, 100], [2, 50]], "move_hours": 24, "most_moves": 3}','2026-11-23 08:31:00.000000',0,0,'pay_9b816ec9d28663ca828d',NULL,'{"name": "Over Past", "email": "over@customer.example", "phone": "", "notes": "", "answers": {}, "consent": false}','anna-35bf992dc9e9c616','{"key": "anna-35bf992dc9e9c616", "time_zone": "Europe/Stockholm", "language": "en", "host": "", "place": "", "utm": {}, "reference": "", "metadata": {}}',0,'2026-11-23 08:00:00.000000','2026-11-23 08:00:00.000000','2026-11-23 08:00:00.000000',NULL,0,0,NULL,NULL,0,0,0,'over@customer.example');
INSERT INTO "bookings" VALUES('bk_b8b6442e3d437204e52d','studio','expired','eb1167b3-67a9-4378-bc65-c1e582e2e662','Portrait session','23a7711a-8133-4876-b7eb-dcd9e87a1613','Astrid Lindqvist',1,'f728b4fa-4248-4e3a-8a5d-2f346baa9455','Studio Nord, Hornsgatan 12','Europe/Stockholm','2026-11-24 08:00:00.000000','2026-11-24 09:00:00.000000','2026-11-24 08:00:00.000000','2026-11-24 09:15:00.000000',0,NULL,0,'{"amount": 120000, "currency": "sek", "tiers": [[24, 100], [2, 50]], "move_hours": 24, "most_moves": 3}','2026-11-23 08:31:00.000000',0,0,NULL,'deadline','{"name": "Expired Gone", "email": "expired@customer.example", "phone": "", "notes": "", "answers": {}, "consent": false}','anna-b2221a58008a05a6','{"key": "anna-b2221a58008a05a6", "time_zone": "Europe/Stockholm", "language": "en", "host": "", "place": "", "utm": {}, "reference": "", "metadata": {}}',0,'2026-11-23 08:00:00.000000','2026-11-25 08:05:00.000000',NULL,NULL,0,0,NULL,NULL,0,0,0,'expired@customer.example');
INSERT INTO "bookings" VALUES('bk_7eedf06d3fef701966a0','studio','canceled','eb1167b3-67a9-4378-bc65-c1e582e2e662','Portrait session','b5d32b16-6619-4cb1-9710-37d1b83e90ec','Jonas Berg',1,'f728b4fa-4248-4e3a-8a5d-2f346baa9455','Studio Nord, Hornsgatan 12','Europe/Stockholm','2026-11-28 09:00:00.000000','2026-11-28 10:00:00.000000','2026-11-28 09:00:00.000000','2026-11-28 10:15:00.000000',0,'d450fe4a-ec4f-417b-b306-d1a8e5eeac76',0,'{"amount": 120000, "currency": "sek", "tiers": [[24, 100], [2, 50]], "move_hours": 24, "most_moves": 3}','2026-11-25 10:01:00.000000',0,0,'pay_ad453b1a11df587fd280','by_customer','{"name": "Returned Money", "email": "returned@customer.example", "phone": "", "notes": "", "answers": {}, "consent": false}','anna-c381e88f38c0c8fd','{"key": "anna-c381e88f38c0c8fd", "time_zone": "Europe/Stockholm", "language": "en", "host": "", "place": "", "utm": {}, "reference": "", "metadata": {}}',1,'2026-11-25 09:30:00.000000','2026-11-25 09:30:00.000000','2026-11-25 09:30:00.000000',NULL,0,1,'2026-11-25 09:30:00.000000','2026-11-25 09:40:00.000000',0,0,0,'returned@customer.example');
INSERT INTO "bookings" VALUES('bk_1999a46d6753ec148cb4','studio','confirmed','eb1167b3-67a9-4378-bc65-c1e582e2e662','Portrait session','b5d32b16-6619-4cb1-9710-37d1b83e90ec','Jonas Berg',1,'f728b4fa-4248-4e3a-8a5d-2f346baa9455','Studio Nord, Hornsgatan 12','Europe/Stockholm','2026-11-28 09:00:00.000000','2026-11-28 10:00:00.000000','2026-11-28 09:00:00.000000','2026-11-28 10:15:00.000000',1,'d67e55fd-642b-4a42-aef9-c00b8a64c1b9',0,'{"amount": 120000, "currency": "sek", "tiers": [[24, 100], [2, 50]], "move_hours": 24, "most_moves": 3}','2026-11-25 11:31:00.000000',0,0,'pay_dc25b94067edfe175330',NULL,'{"name": "Partly Back", "email": "partly@customer.example", "phone": "", "notes": "", "answers": {}, "consent": false}','anna-8e73ca47ea90a8f0','{"key": "anna-8e73ca47ea90a8f0", "time_zone": "Europe/Stockholm", "language": "en", "host": "", "place": "", "utm": {}, "reference": "", "metadata": {}}',0,'2026-11-25 11:00:00.000000','2026-11-25 11:00:00.000000','2026-11-25 11:00:00.000000',NULL,0,0,NULL,NULL,0,0,0,'partly@customer.example');
INSERT INTO "bookings" VALUES('bk_e901d47d380d81f9c1f6','studio','confirmed','eb1167b3-67a9-4378-bc65-c1e582e2e662','Portrait session','23a7711a-8133-4876-b7eb-dcd9e87a1613','Astrid Lindqvist',1,'f728b4fa-4248-4e3a-8a5d-2f346baa9455','Studio Nord, Hornsgatan 12','Europe/Stockholm','2026-11-30 09:30:00.000000','2026-11-30 10:30:00.000000','2026-11-30 09:30:00.000000','2026-11-30 10:45:00.000000',1,'85940927-468f-453d-864a-7a50b48d73f1',0,'{"amount": 120000, "currency": "sek", "tiers": [[24, 100], [2, 50]], "move_hours": 24, "most_moves": 3}','2026-11-25 13:01:00.000000',0,0,'pay_966b48beab134da98f1d',NULL,'{"name": "Moved Once", "email": "moved@customer.example", "phone": "", "notes": "", "answers": {}, "consent": false}','anna-6c0f3459f79b17ae','{"key": "anna-6c0f3459f79b17ae", "time_zone": "Europe/Stockholm", "language": "en", "host": "", "place": "", "utm": {}, "reference": "", "metadata": {}}',1,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000',NULL,0,0,NULL,NULL,1,0,0,'moved@customer.example');
INSERT INTO "bookings" VALUES('bk_cc22be6521cc3e2434e3','studio','confirmed','f7c1bd87-4da5-4709-9471-3d60c8a70639','Headshot express','3405095c-8a50-46c1-ac18-8efbd080e66e','Mira Haddad',1,'f728b4fa-4248-4e3a-8a5d-2f346baa9455','Studio Nord, Hornsgatan 12','Europe/Stockholm','2026-11-30 07:30:00.000000','2026-11-30 08:00:00.000000','2026-11-30 07:30:00.000000','2026-11-30 08:00:00.000000',1,'37176e84-d977-4993-bc49-d76fcfc6e625',0,'{"amount": 65000, "currency": "sek", "tiers": [[24, 100], [2, 50]], "move_hours": 24, "most_moves": 3}','2026-11-25 13:01:00.000000',0,0,'pay_5dfb2c4a3698aa2ca1af',NULL,'{"name": "Moving Dearer", "email": "moving@customer.example", "phone": "", "notes": "", "answers": {}, "consent": false}','anna-7af027bc08d6af57','{"key": "anna-7af027bc08d6af57", "time_zone": "Europe/Stockholm", "language": "en", "host": "", "place": "", "utm": {}, "reference": "", "metadata": {}}',0,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000',NULL,0,0,NULL,NULL,0,0,0,'moving@customer.example');
INSERT INTO "bookings" VALUES('bk_0b2178255d6807923986','studio','confirmed','eb1167b3-67a9-4378-bc65-c1e582e2e662','Portrait session','b5d32b16-6619-4cb1-9710-37d1b83e90ec','Jonas Berg',1,'f728b4fa-4248-4e3a-8a5d-2f346baa9455','Studio Nord, Hornsgatan 12','Europe/Stockholm','2026-12-01 09:00:00.000000','2026-12-01 10:00:00.000000','2026-12-01 09:00:00.000000','2026-12-01 10:15:00.000000',1,'46743741-9466-4472-ab5f-5241f323ca74',0,'{"amount": 120000, "currency": "sek", "tiers": [[24, 100], [2, 50]], "move_hours": 24, "most_moves": 3}','2026-11-25 13:01:00.000000',0,0,'pay_9d64fbb230bbd92a4aa2',NULL,'{"name": "Confirmed Paid", "email": "confirmed@customer.example", "phone": "", "notes": "", "answers": {}, "consent": false}','anna-bb968a437d5c8dfc','{"key": "anna-bb968a437d5c8dfc", "time_zone": "Europe/Stockholm", "language": "en", "host": "", "place": "", "utm": {}, "reference": "", "metadata": {}}',0,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000',NULL,0,0,NULL,NULL,0,0,0,'confirmed@customer.example');
INSERT INTO "bookings" VALUES('bk_f3d45804f92283868a29','studio','confirmed','e443df78-9558-467f-9ba9-1faf7a024204','Planning call','23a7711a-8133-4876-b7eb-dcd9e87a1613','Astrid Lindqvist',1,'f728b4fa-4248-4e3a-8a5d-2f346baa9455','Studio Nord, Hornsgatan 12','Europe/Stockholm','2026-12-01 09:20:00.000000','2026-12-01 09:40:00.000000','2026-12-01 09:20:00.000000','2026-12-01 09:40:00.000000',1,'a425799a-a905-4750-be1e-a9c573581a81',0,'{"amount": 0, "currency": "sek", "tiers": [[24, 100], [2, 50]], "move_hours": 24, "most_moves": 3}','2026-11-25 12:40:00.000000',0,0,NULL,NULL,'{"name": "Free Confirmed", "email": "free@customer.example", "phone": "", "notes": "", "answers": {}, "consent": false}','anna-678a5aa33b6fe507','{"key": "anna-678a5aa33b6fe507", "time_zone": "Europe/Stockholm", "language": "en", "host": "", "place": "", "utm": {}, "reference": "", "metadata": {}}',0,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000',NULL,0,0,NULL,NULL,0,0,0,'free@customer.example');
INSERT INTO "bookings" VALUES('bk_9be38c497c68a8c24d42','studio','canceled','eb1167b3-67a9-4378-bc65-c1e582e2e662','Portrait session','23a7711a-8133-4876-b7eb-dcd9e87a1613','Astrid Lindqvist',1,'f728b4fa-4248-4e3a-8a5d-2f346baa9455','Studio Nord, Hornsgatan 12','Europe/Stockholm','2026-12-02 08:00:00.000000','2026-12-02 09:00:00.000000','2026-12-02 08:00:00.000000','2026-12-02 09:15:00.000000',0,'fb82860d-eabc-48d0-b341-facdff0ac0f1',0,'{"amount": 120000, "currency": "sek", "tiers": [[24, 100], [2, 50]], "move_hours": 24, "most_moves": 3}','2026-11-25 13:01:00.000000',0,0,'pay_c89d62397bc701762741','by_customer','{"name": "Undoable Yet", "email": "undoable@customer.example", "phone": "", "notes": "", "answers": {}, "consent": false}','anna-44ef7febe8e5b461','{"key": "anna-44ef7febe8e5b461", "time_zone": "Europe/Stockholm", "language": "en", "host": "", "place": "", "utm": {}, "reference": "", "metadata": {}}',1,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000',NULL,0,1,'2026-11-25 12:30:00.000000','2026-11-25 12:40:00.000000',0,0,0,'undoable@customer.example');
INSERT INTO "bookings" VALUES('bk_8fb5c703806984c81999','studio','held','eb1167b3-67a9-4378-bc65-c1e582e2e662','Portrait session','23a7711a-8133-4876-b7eb-dcd9e87a1613','Astrid Lindqvist',1,'f728b4fa-4248-4e3a-8a5d-2f346baa9455','Studio Nord, Hornsgatan 12','Europe/Stockholm','2026-12-03 08:00:00.000000','2026-12-03 09:00:00.000000','2026-12-03 08:00:00.000000','2026-12-03 09:15:00.000000',1,'5306f3f5-1516-4570-9b7c-709acb175a5a',0,'{"amount": 120000, "currency": "sek", "tiers": [[24, 100], [2, 50]], "move_hours": 24, "most_moves": 3}','2026-11-25 12:40:00.000000',0,0,NULL,NULL,'{"name": "Held Only", "email": "held@customer.example", "phone": "", "notes": "", "answers": {}, "consent": false}','anna-21167d8fcf23cae8','{"key": "anna-21167d8fcf23cae8", "time_zone": "Europe/Stockholm", "language": "en", "host": "", "place": "", "utm": {}, "reference": "", "metadata": {}}',0,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000',NULL,NULL,0,0,NULL,NULL,0,0,0,'held@customer.example');
INSERT INTO "bookings" VALUES('bk_5d5fdeb8fc4c7b297d0b','studio','awaiting_payment','eb1167b3-67a9-4378-bc65-c1e582e2e662','Portrait session','23a7711a-8133-4876-b7eb-dcd9e87a1613','Astrid Lindqvist',1,'f728b4fa-4248-4e3a-8a5d-2f346baa9455','Studio Nord, Hornsgatan 12','Europe/Stockholm','2026-12-03 09:30:00.000000','2026-12-03 10:30:00.000000','2026-12-03 09:30:00.000000','2026-12-03 10:45:00.000000',1,'964a870c-7c87-4b74-9d87-8f9f9cdf5a86',0,'{"amount": 120000, "currency": "sek", "tiers": [[24, 100], [2, 50]], "move_hours": 24, "most_moves": 3}','2026-11-25 13:01:00.000000',0,0,NULL,NULL,'{"name": "Awaiting Payment", "email": "awaiting@customer.example", "phone": "", "notes": "", "answers": {}, "consent": false}','anna-e5e18baf320cd57','{"key": "anna-e5e18baf320cd57", "time_zone": "Europe/Stockholm", "language": "en", "host": "", "place": "", "utm": {}, "reference": "", "metadata": {}}',0,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000',NULL,NULL,0,0,NULL,NULL,0,0,0,'awaiting@customer.example');
INSERT INTO "bookings" VALUES('bk_6a175b569643d037cdff','studio','canceled','eb1167b3-67a9-4378-bc65-c1e582e2e662','Portrait session','23a7711a-8133-4876-b7eb-dcd9e87a1613','Astrid Lindqvist',1,'f728b4fa-4248-4e3a-8a5d-2f346baa9455','Studio Nord, Hornsgatan 12','Europe/Stockholm','2026-12-04 08:00:00.000000','2026-12-04 09:00:00.000000','2026-12-04 08:00:00.000000','2026-12-04 09:15:00.000000',0,'30bcab0e-d857-4102-95d4-4936a1515607',0,'{"amount": 120000, "currency": "sek", "tiers": [[24, 100], [2, 50]], "move_hours": 24, "most_moves": 3}','2026-11-25 13:01:00.000000',0,0,'pay_9f9d8a449ebe89d9bf02','by_owner','{"name": "Called Off", "email": "called@customer.example", "phone": "", "notes": "", "answers": {}, "consent": false}','anna-7c240d4969d495dd','{"key": "anna-7c240d4969d495dd", "time_zone": "Europe/Stockholm", "language": "en", "host": "", "place": "", "utm": {}, "reference": "", "metadata": {}}',1,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000',NULL,0,1,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000',0,0,0,'called@customer.example');
INSERT INTO "bookings" VALUES('bk_2e47959f3a518cfe5cd1','studio','held','eb1167b3-67a9-4378-bc65-c1e582e2e662','Portrait session','b5d32b16-6619-4cb1-9710-37d1b83e90ec','Jonas Berg',1,'f728b4fa-4248-4e3a-8a5d-2f346baa9455','Studio Nord, Hornsgatan 12','Europe/Stockholm','2026-12-05 09:00:00.000000','2026-12-05 10:00:00.000000','2026-12-05 09:00:00.000000','2026-12-05 10:15:00.000000',1,'4562be7f-bb42-40b2-8426-465e3e37952d',0,'{"amount": 120000, "currency": "sek", "tiers": [[24, 100], [2, 50]], "move_hours": 24, "most_moves": 3}','2026-11-25 12:40:00.000000',0,0,NULL,NULL,'{"name": "Program Made", "email": "program@customer.example", "phone": "", "notes": "", "answers": {}, "consent": false}','api 00000000-0000-4000-8000-000000000001','{"key": "api 00000000-0000-4000-8000-000000000001", "time_zone": "", "language": "en", "host": "", "place": "", "utm": {}, "reference": "", "metadata": {}}',0,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000',NULL,NULL,0,0,NULL,NULL,0,0,0,'program@customer.example');
INSERT INTO "bookings" VALUES('bk_d102d9ed17e3cc0e95ee','studio','paid','eb1167b3-67a9-4378-bc65-c1e582e2e662','Portrait session','23a7711a-8133-4876-b7eb-dcd9e87a1613','Astrid Lindqvist',1,'f728b4fa-4248-4e3a-8a5d-2f346baa9455','Studio Nord, Hornsgatan 12','Europe/Stockholm','2026-12-04 08:00:00.000000','2026-12-04 09:00:00.000000','2026-12-04 08:00:00.000000','2026-12-04 09:15:00.000000',1,'5f3f5638-3870-4a14-b490-b6081dfc8352',0,'{"amount": 120000, "currency": "sek", "tiers": [[24, 100], [2, 50]], "move_hours": 24, "most_moves": 3}','2026-11-25 13:01:00.000000',0,0,'pay_f18dd77c96c0084f3dd6',NULL,'{"name": "Paid Waiting", "email": "paid@customer.example", "phone": "", "notes": "", "answers": {}, "consent": false}','anna-8d103ed3cc667e97','{"key": "anna-8d103ed3cc667e97", "time_zone": "Europe/Stockholm", "language": "en", "host": "", "place": "", "utm": {}, "reference": "", "metadata": {}}',0,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000',NULL,NULL,0,0,NULL,NULL,0,0,0,'paid@customer.example');
CREATE TABLE counters (
	name TEXT NOT NULL, 
	value INTEGER NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "counters" VALUES('hapio_calls:2026-11',63);
INSERT INTO "counters" VALUES('worker_beat',1795609800);
INSERT INTO "counters" VALUES('stripe:events_read',1795609500);
INSERT INTO "counters" VALUES('hapio:changes_read',1795593900);
INSERT INTO "counters" VALUES('hapio:bookings_read',1795593900);
CREATE TABLE history (
	id INTEGER NOT NULL, 
	booking_id TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	what TEXT NOT NULL, 
	status TEXT NOT NULL, 
	detail JSON NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(booking_id) REFERENCES bookings (id)
);
INSERT INTO "history" VALUES(1,'bk_07417ce42c8218072e8c','2026-11-23 08:00:00.000000','held','held','{}');
INSERT INTO "history" VALUES(2,'bk_07417ce42c8218072e8c','2026-11-23 08:00:00.000000','payment_started','awaiting_payment','{}');
INSERT INTO "history" VALUES(3,'bk_07417ce42c8218072e8c','2026-11-23 08:00:00.000000','paid','paid','{}');
INSERT INTO "history" VALUES(4,'bk_07417ce42c8218072e8c','2026-11-23 08:00:00.000000','confirmed','confirmed','{}');
INSERT INTO "history" VALUES(5,'bk_b8b6442e3d437204e52d','2026-11-23 08:00:00.000000','held','held','{}');
INSERT INTO "history" VALUES(6,'bk_b8b6442e3d437204e52d','2026-11-23 08:00:00.000000','payment_started','awaiting_payment','{}');
INSERT INTO "history" VALUES(7,'bk_b8b6442e3d437204e52d','2026-11-25 08:05:00.000000','deadline','expired','{}');
INSERT INTO "history" VALUES(8,'bk_7eedf06d3fef701966a0','2026-11-25 09:30:00.000000','held','held','{}');
INSERT INTO "history" VALUES(9,'bk_7eedf06d3fef701966a0','2026-11-25 09:30:00.000000','payment_started','awaiting_payment','{}');
INSERT INTO "history" VALUES(10,'bk_7eedf06d3fef701966a0','2026-11-25 09:30:00.000000','paid','paid','{}');
INSERT INTO "history" VALUES(11,'bk_7eedf06d3fef701966a0','2026-11-25 09:30:00.000000','confirmed','confirmed','{}');
INSERT INTO "history" VALUES(12,'bk_7eedf06d3fef701966a0','2026-11-25 09:30:00.000000','by_customer','canceled','{"back": 120000}');
INSERT INTO "history" VALUES(13,'bk_1999a46d6753ec148cb4','2026-11-25 11:00:00.000000','held','held','{}');
INSERT INTO "history" VALUES(14,'bk_1999a46d6753ec148cb4','2026-11-25 11:00:00.000000','payment_started','awaiting_payment','{}');
INSERT INTO "history" VALUES(15,'bk_1999a46d6753ec148cb4','2026-11-25 11:00:00.000000','paid','paid','{}');
INSERT INTO "history" VALUES(16,'bk_1999a46d6753ec148cb4','2026-11-25 11:00:00.000000','confirmed','confirmed','{}');
INSERT INTO "history" VALUES(17,'bk_1999a46d6753ec148cb4','2026-11-25 11:00:00.000000','refund_added','confirmed','{"amount": 20000}');
INSERT INTO "history" VALUES(18,'bk_e901d47d380d81f9c1f6','2026-11-25 12:30:00.000000','held','held','{}');
INSERT INTO "history" VALUES(19,'bk_e901d47d380d81f9c1f6','2026-11-25 12:30:00.000000','payment_started','awaiting_payment','{}');
INSERT INTO "history" VALUES(20,'bk_e901d47d380d81f9c1f6','2026-11-25 12:30:00.000000','paid','paid','{}');
INSERT INTO "history" VALUES(21,'bk_e901d47d380d81f9c1f6','2026-11-25 12:30:00.000000','confirmed','confirmed','{}');
INSERT INTO "history" VALUES(22,'bk_e901d47d380d81f9c1f6','2026-11-25 12:30:00.000000','moved','confirmed','{"from": "2026-11-30T08:00:00+00:00", "to": "2026-11-30T09:30:00+00:00", "by": "by_customer"}');
INSERT INTO "history" VALUES(23,'bk_cc22be6521cc3e2434e3','2026-11-25 12:30:00.000000','held','held','{}');
INSERT INTO "history" VALUES(24,'bk_cc22be6521cc3e2434e3','2026-11-25 12:30:00.000000','payment_started','awaiting_payment','{}');
INSERT INTO "history" VALUES(25,'bk_cc22be6521cc3e2434e3','2026-11-25 12:30:00.000000','paid','paid','{}');
INSERT INTO "history" VALUES(26,'bk_cc22be6521cc3e2434e3','2026-11-25 12:30:00.000000','confirmed','confirmed','{}');
INSERT INTO "history" VALUES(27,'bk_cc22be6521cc3e2434e3','2026-11-25 12:30:00.000000','move_held','confirmed','{}');
INSERT INTO "history" VALUES(28,'bk_0b2178255d6807923986','2026-11-25 12:30:00.000000','held','held','{}');
INSERT INTO "history" VALUES(29,'bk_0b2178255d6807923986','2026-11-25 12:30:00.000000','payment_started','awaiting_payment','{}');
INSERT INTO "history" VALUES(30,'bk_0b2178255d6807923986','2026-11-25 12:30:00.000000','paid','paid','{}');
INSERT INTO "history" VALUES(31,'bk_0b2178255d6807923986','2026-11-25 12:30:00.000000','confirmed','confirmed','{}');
INSERT INTO "history" VALUES(32,'bk_f3d45804f92283868a29','2026-11-25 12:30:00.000000','held','held','{}');
INSERT INTO "history" VALUES(33,'bk_f3d45804f92283868a29','2026-11-25 12:30:00.000000','nothing_due','paid','{}');
INSERT INTO "history" VALUES(34,'bk_f3d45804f92283868a29','2026-11-25 12:30:00.000000','confirmed','confirmed','{}');
INSERT INTO "history" VALUES(35,'bk_9be38c497c68a8c24d42','2026-11-25 12:30:00.000000','held','held','{}');
INSERT INTO "history" VALUES(36,'bk_9be38c497c68a8c24d42','2026-11-25 12:30:00.000000','payment_started','awaiting_payment','{}');
INSERT INTO "history" VALUES(37,'bk_9be38c497c68a8c24d42','2026-11-25 12:30:00.000000','paid','paid','{}');
INSERT INTO "history" VALUES(38,'bk_9be38c497c68a8c24d42','2026-11-25 12:30:00.000000','confirmed','confirmed','{}');
INSERT INTO "history" VALUES(39,'bk_9be38c497c68a8c24d42','2026-11-25 12:30:00.000000','by_customer','canceled','{"back": 120000}');
INSERT INTO "history" VALUES(40,'bk_8fb5c703806984c81999','2026-11-25 12:30:00.000000','held','held','{}');
INSERT INTO "history" VALUES(41,'bk_5d5fdeb8fc4c7b297d0b','2026-11-25 12:30:00.000000','held','held','{}');
INSERT INTO "history" VALUES(42,'bk_5d5fdeb8fc4c7b297d0b','2026-11-25 12:30:00.000000','payment_started','awaiting_payment','{}');
INSERT INTO "history" VALUES(43,'bk_6a175b569643d037cdff','2026-11-25 12:30:00.000000','held','held','{}');
INSERT INTO "history" VALUES(44,'bk_6a175b569643d037cdff','2026-11-25 12:30:00.000000','payment_started','awaiting_payment','{}');
INSERT INTO "history" VALUES(45,'bk_6a175b569643d037cdff','2026-11-25 12:30:00.000000','paid','paid','{}');
INSERT INTO "history" VALUES(46,'bk_6a175b569643d037cdff','2026-11-25 12:30:00.000000','confirmed','confirmed','{}');
INSERT INTO "history" VALUES(47,'bk_6a175b569643d037cdff','2026-11-25 12:30:00.000000','by_owner','canceled','{"back": 120000}');
INSERT INTO "history" VALUES(48,'bk_2e47959f3a518cfe5cd1','2026-11-25 12:30:00.000000','held','held','{}');
INSERT INTO "history" VALUES(49,'bk_d102d9ed17e3cc0e95ee','2026-11-25 12:30:00.000000','held','held','{}');
INSERT INTO "history" VALUES(50,'bk_d102d9ed17e3cc0e95ee','2026-11-25 12:30:00.000000','payment_started','awaiting_payment','{}');
INSERT INTO "history" VALUES(51,'bk_d102d9ed17e3cc0e95ee','2026-11-25 12:30:00.000000','paid','paid','{}');
CREATE TABLE idempotency (
	"key" TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	run TEXT NOT NULL, 
	running_until DATETIME NOT NULL, 
	forget_at DATETIME NOT NULL, 
	status INTEGER, 
	body BLOB, 
	PRIMARY KEY ("key")
);
INSERT INTO "idempotency" VALUES('00000000-0000-4000-8000-000000000001','e607b6640ad8c1541cf06fe69186da0bc36a094d3834e87f09c23dd9d42829af','2d5db79ba2a7ae1f3ac7652c','2026-11-25 12:31:00.000000','2026-11-26 12:30:00.000000',201,X'7B2273756363657373223A747275652C22626F6F6B696E674964223A22626B5F3265343739353966336135313863666535636431222C22686170696F426F6F6B696E674964223A2234353632626537662D626234322D343062322D383432362D343635653365333739353264222C227374617274223A22323032362D31322D30355431303A30303A30302B30313A3030222C22656E64223A22323032362D31322D30355431313A30303A30302B30313A3030222C227265736F757263654964223A2262356433326231362D363631392D346362312D393731302D333764316238336539306563222C22737461747573223A2250454E44494E47222C22657870697265734174223A22323032362D31312D32355431323A34303A30305A222C22746F6B656E223A22496D4A72587A4A6C4E4463354E546C6D4D3245314D54686A5A6D55315932517849672E6266786E6777434B656E324C494A5A33426561634A34757A76654D227D');
CREATE TABLE inbox (
	event_id TEXT NOT NULL, 
	type TEXT NOT NULL, 
	object_id TEXT NOT NULL, 
	object_type TEXT NOT NULL, 
	livemode BOOLEAN NOT NULL, 
	created DATETIME NOT NULL, 
	booking_id TEXT, 
	payment_intent_id TEXT, 
	tries INTEGER NOT NULL, 
	next_try_at DATETIME, 
	last_error TEXT, 
	received_at DATETIME NOT NULL, 
	processed_at DATETIME, 
	PRIMARY KEY (event_id)
);
INSERT INTO "inbox" VALUES('evt_bIBNg1qeoePtwBldGDcMgSzm','payment_intent.succeeded','pi_3slm0lcNQqEefRWi4j7c1f5S7','payment_intent',0,'2026-11-23 08:00:00.000000','bk_07417ce42c8218072e8c',NULL,1,NULL,NULL,'2026-11-23 08:00:00.000000','2026-11-23 08:00:00.000000');
INSERT INTO "inbox" VALUES('evt_qw5UE156KkSRn9XdYRk2kvHq','checkout.session.completed','cs_test_a1QOaNF03vpUuT3em6KopZ9jZICffu4G7FgtJsThJv07In9ZMJLsCfMZyuKp','checkout.session',0,'2026-11-23 08:00:00.000000','bk_07417ce42c8218072e8c','pi_3slm0lcNQqEefRWi4j7c1f5S7',1,NULL,NULL,'2026-11-23 08:00:00.000000','2026-11-23 08:00:00.000000');
INSERT INTO "inbox" VALUES('evt_h3qiPH0PPwh3jr2bccnRqJu8','checkout.session.expired','cs_test_a1SkCH4F6JMWa4cFut1DdZ04ZAmJ9Of1Uiaz8RAuanaTWa0RHNgmhMPm3trS','checkout.session',0,'2026-11-25 08:05:00.000000','bk_b8b6442e3d437204e52d',NULL,1,NULL,NULL,'2026-11-25 08:05:00.000000','2026-11-25 08:05:00.000000');
INSERT INTO "inbox" VALUES('evt_eR3fR8V7QzaxchNar3OSsU5o','payment_intent.succeeded','pi_3oIWzrObhr4QcaqzH4LTzCgVq','payment_intent',0,'2026-11-25 09:30:00.000000','bk_7eedf06d3fef701966a0',NULL,1,NULL,NULL,'2026-11-25 09:30:00.000000','2026-11-25 09:30:00.000000');
INSERT INTO "inbox" VALUES('evt_jWKsmgBDTvykvAP5RBjC7TjH','checkout.session.completed','cs_test_a1grhJMSjYSC7zlXABlp9Dv7HjwDOOfEWnsa1SCNDanthXOtIMjBTWEfRFW9','checkout.session',0,'2026-11-25 09:30:00.000000','bk_7eedf06d3fef701966a0','pi_3oIWzrObhr4QcaqzH4LTzCgVq',1,NULL,NULL,'2026-11-25 09:30:00.000000','2026-11-25 09:30:00.000000');
INSERT INTO "inbox" VALUES('evt_yqEw3Tpct7JeaDFUCd6ZAFDC','refund.created','re_3ieYBRoMzJ6oDmvMgM4fYuuID','refund',0,'2026-11-25 09:40:00.000000','bk_7eedf06d3fef701966a0','pi_3oIWzrObhr4QcaqzH4LTzCgVq',1,NULL,NULL,'2026-11-25 09:40:00.000000','2026-11-25 09:40:00.000000');
INSERT INTO "inbox" VALUES('evt_hffpg0WjA46nCNe0BJW41zc9','charge.refunded','ch_3A3ssHiKHOnIgA9OIzVX5YrsC','charge',0,'2026-11-25 09:40:00.000000','bk_7eedf06d3fef701966a0','pi_3oIWzrObhr4QcaqzH4LTzCgVq',1,NULL,NULL,'2026-11-25 09:40:00.000000','2026-11-25 09:40:00.000000');
INSERT INTO "inbox" VALUES('evt_Tv6PiEXJdIf0Hva0XfgBMwKC','payment_intent.succeeded','pi_3zE6HicfK3wxaemThQIEcu712','payment_intent',0,'2026-11-25 11:00:00.000000','bk_1999a46d6753ec148cb4',NULL,1,NULL,NULL,'2026-11-25 11:00:00.000000','2026-11-25 11:00:00.000000');
INSERT INTO "inbox" VALUES('evt_v1yGx13Ohiu7blUibv4MmcAP','checkout.session.completed','cs_test_a15ZZTg9mkC7e7BOz8rqB4WXwNuftbFaWqmWzyBXOORyS40cLDw1KiKTru0b','checkout.session',0,'2026-11-25 11:00:00.000000','bk_1999a46d6753ec148cb4','pi_3zE6HicfK3wxaemThQIEcu712',1,NULL,NULL,'2026-11-25 11:00:00.000000','2026-11-25 11:00:00.000000');
INSERT INTO "inbox" VALUES('evt_k8JSjklX6kORp847Nv8bE94O','charge.refunded','ch_3ETPTWUcU0Hc0JSVSOy8lwZL0','charge',0,'2026-11-25 11:00:00.000000','bk_1999a46d6753ec148cb4','pi_3zE6HicfK3wxaemThQIEcu712',1,NULL,NULL,'2026-11-25 11:05:00.000000','2026-11-25 11:05:00.000000');
INSERT INTO "inbox" VALUES('evt_PHg10fvw9gE9cj6HOZs9cayv','refund.created','re_3K2ZDAlbDZqm8yewghbwblzNS','refund',0,'2026-11-25 11:00:00.000000','bk_1999a46d6753ec148cb4','pi_3zE6HicfK3wxaemThQIEcu712',1,NULL,NULL,'2026-11-25 11:05:00.000000','2026-11-25 11:05:00.000000');
INSERT INTO "inbox" VALUES('evt_SNF5QK7nMCcpF5M1uJUmacdi','payment_intent.succeeded','pi_3GhJgS6EhG5CElDJviAqyfKGv','payment_intent',0,'2026-11-25 12:30:00.000000','bk_e901d47d380d81f9c1f6',NULL,1,NULL,NULL,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000');
INSERT INTO "inbox" VALUES('evt_pC3RNoQRg39WHB7POs4RvFRm','checkout.session.completed','cs_test_a1N2AeIl7oo7AyEZaBnyWcN9rbLwTx0vRDPiMHfq8gTgrbSjNXQiynKQumAG','checkout.session',0,'2026-11-25 12:30:00.000000','bk_e901d47d380d81f9c1f6','pi_3GhJgS6EhG5CElDJviAqyfKGv',1,NULL,NULL,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000');
INSERT INTO "inbox" VALUES('evt_lspOBRSscb1aO2re3QuuJPsd','payment_intent.succeeded','pi_3xNZOmV0IIdvGJak6F0bO3qvi','payment_intent',0,'2026-11-25 12:30:00.000000','bk_cc22be6521cc3e2434e3',NULL,1,NULL,NULL,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000');
INSERT INTO "inbox" VALUES('evt_YTp24SHiqMdYyArLoq8u6ZIF','checkout.session.completed','cs_test_a1LCr41oyyVG7vo0Lq7fcjuOLKFe9HEBuyU3bhBMQ79iWj4bhTBpcOrqyhws','checkout.session',0,'2026-11-25 12:30:00.000000','bk_cc22be6521cc3e2434e3','pi_3xNZOmV0IIdvGJak6F0bO3qvi',1,NULL,NULL,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000');
INSERT INTO "inbox" VALUES('evt_M7AXiRQ08XYhLXh1lV9EsRUg','payment_intent.succeeded','pi_3QxNZraRQbbM67k13t90pz0FV','payment_intent',0,'2026-11-25 12:30:00.000000','bk_0b2178255d6807923986',NULL,1,NULL,NULL,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000');
INSERT INTO "inbox" VALUES('evt_RWBqrYhOwG0IZeacMaX9i4hA','checkout.session.completed','cs_test_a1mBnqGkGiZMHW5IX6G10PE6vqBtD6PHdYUm9qDSebmMg2qY8a03n85lNl69','checkout.session',0,'2026-11-25 12:30:00.000000','bk_0b2178255d6807923986','pi_3QxNZraRQbbM67k13t90pz0FV',1,NULL,NULL,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000');
INSERT INTO "inbox" VALUES('evt_xyspnq9pIL374x8DpMvNOjup','payment_intent.succeeded','pi_38Q3UEzL0uVQ5NDGwoXGcUyYx','payment_intent',0,'2026-11-25 12:30:00.000000','bk_9be38c497c68a8c24d42',NULL,1,NULL,NULL,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000');
INSERT INTO "inbox" VALUES('evt_j2WqJlITTMh57CEnSlMwMpTZ','checkout.session.completed','cs_test_a10u1jvLWefxnqCvRFEIHffuCyXzIEJBHe6ojPz13Guj4ejjcyPKhQeHrKtw','checkout.session',0,'2026-11-25 12:30:00.000000','bk_9be38c497c68a8c24d42','pi_38Q3UEzL0uVQ5NDGwoXGcUyYx',1,NULL,NULL,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000');
INSERT INTO "inbox" VALUES('evt_RjhGuuRUex5Z1mmsHSBPUVyz','payment_intent.succeeded','pi_3fgIzhGRDVPkcmopgMyAe41Jn','payment_intent',0,'2026-11-25 12:30:00.000000','bk_6a175b569643d037cdff',NULL,1,NULL,NULL,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000');
INSERT INTO "inbox" VALUES('evt_cjCesOQjHm1MFwjLj4KBqVnh','checkout.session.completed','cs_test_a1L6PgH2iT366DjBq5UImWYlVeqCuyGdw13yVUyJiXTTIKjPctNCHWKAnDnz','checkout.session',0,'2026-11-25 12:30:00.000000','bk_6a175b569643d037cdff','pi_3fgIzhGRDVPkcmopgMyAe41Jn',1,NULL,NULL,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000');
INSERT INTO "inbox" VALUES('evt_Z0LNlegrgrNDKXqLAcTej0Cd','refund.created','re_33TRZLfD0qVLqSJYykpOhR0L8','refund',0,'2026-11-25 12:30:00.000000','bk_6a175b569643d037cdff','pi_3fgIzhGRDVPkcmopgMyAe41Jn',1,NULL,NULL,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000');
INSERT INTO "inbox" VALUES('evt_wvqOAy5bsPpnXfLUjp3HnCu3','charge.refunded','ch_3RZEOOMYbwwXYnSPcmCnHRn0a','charge',0,'2026-11-25 12:30:00.000000','bk_6a175b569643d037cdff','pi_3fgIzhGRDVPkcmopgMyAe41Jn',1,NULL,NULL,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000');
INSERT INTO "inbox" VALUES('evt_wGuEO2WVD4VT5qwrXkl4o5Du','payment_intent.succeeded','pi_3SyPEpzOUgAdR1sMktrHhJQRv','payment_intent',0,'2026-11-25 12:30:00.000000','bk_d102d9ed17e3cc0e95ee',NULL,3,'2026-11-25 12:30:18.955353','HapioDown','2026-11-25 12:30:00.000000',NULL);
INSERT INTO "inbox" VALUES('evt_PbxENY8SsRpbgDUH05lm0y8S','checkout.session.completed','cs_test_a13lSanvqTT30gQbBtuNU6mvAX7i9PhpwWU6EClR1wB2BAxLgfJZCiga8ZH2','checkout.session',0,'2026-11-25 12:30:00.000000','bk_d102d9ed17e3cc0e95ee','pi_3SyPEpzOUgAdR1sMktrHhJQRv',1,'2026-11-25 12:30:17.046858','HapioDown','2026-11-25 12:30:00.000000',NULL);
CREATE TABLE moves (
	id TEXT NOT NULL, 
	booking_id TEXT NOT NULL, 
	state TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	service_id TEXT NOT NULL, 
	service_name TEXT NOT NULL, 
	resource_id TEXT NOT NULL, 
	resource_name TEXT NOT NULL, 
	starts_at DATETIME NOT NULL, 
	ends_at DATETIME NOT NULL, 
	buffer_starts_at DATETIME NOT NULL, 
	buffer_ends_at DATETIME NOT NULL, 
	occupies BOOLEAN NOT NULL, 
	hapio_booking_id TEXT, 
	hapio_unsure BOOLEAN NOT NULL, 
	amount INTEGER NOT NULL, 
	currency TEXT NOT NULL, 
	payment_id TEXT, 
	end_reason TEXT, 
	deadline DATETIME NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	next_try_at DATETIME, 
	tries INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(booking_id) REFERENCES bookings (id)
);
INSERT INTO "moves" VALUES('mv_f0dfd8a064df7fd63116','bk_e901d47d380d81f9c1f6','done','by_customer','eb1167b3-67a9-4378-bc65-c1e582e2e662','Portrait session','23a7711a-8133-4876-b7eb-dcd9e87a1613','Astrid Lindqvist','2026-11-30 08:00:00.000000','2026-11-30 09:00:00.000000','2026-11-30 08:00:00.000000','2026-11-30 09:15:00.000000',0,NULL,0,120000,'sek',NULL,NULL,'2026-11-25 13:01:00.000000','2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000',NULL,0);
INSERT INTO "moves" VALUES('mv_c7481ba1621582283d15','bk_cc22be6521cc3e2434e3','held','by_customer','eb1167b3-67a9-4378-bc65-c1e582e2e662','Portrait session','23a7711a-8133-4876-b7eb-dcd9e87a1613','Astrid Lindqvist','2026-12-01 08:00:00.000000','2026-12-01 09:00:00.000000','2026-12-01 08:00:00.000000','2026-12-01 09:15:00.000000',1,'d3447490-96fd-45d0-adf2-0806e5214606',0,120000,'sek',NULL,NULL,'2026-11-25 13:01:00.000000','2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000',NULL,0);
CREATE TABLE outbox (
	id TEXT NOT NULL, 
	booking_id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	message_id TEXT NOT NULL, 
	detail JSON NOT NULL, 
	tries INTEGER NOT NULL, 
	next_try_at DATETIME, 
	last_error TEXT, 
	created_at DATETIME NOT NULL, 
	sent_at DATETIME, 
	due_at DATETIME NOT NULL, 
	revision INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(booking_id) REFERENCES bookings (id)
);
INSERT INTO "outbox" VALUES('bk_07417ce42c8218072e8c.confirmed_customer','bk_07417ce42c8218072e8c','confirmed_customer','<bk_07417ce42c8218072e8c.confirmed_customer@book.example>','{"rescued": false}',1,NULL,'no longer true','2026-11-23 08:00:00.000000',NULL,'2026-11-23 08:00:00.000000',0);
INSERT INTO "outbox" VALUES('bk_07417ce42c8218072e8c.confirmed_owner','bk_07417ce42c8218072e8c','confirmed_owner','<bk_07417ce42c8218072e8c.confirmed_owner@book.example>','{"rescued": false}',1,NULL,'no longer true','2026-11-23 08:00:00.000000',NULL,'2026-11-23 08:00:00.000000',0);
INSERT INTO "outbox" VALUES('bk_b8b6442e3d437204e52d.released_customer','bk_b8b6442e3d437204e52d','released_customer','<bk_b8b6442e3d437204e52d.released_customer@book.example>','{"reason": "deadline"}',1,NULL,'no longer true','2026-11-25 08:05:00.000000',NULL,'2026-11-25 08:05:00.000000',0);
INSERT INTO "outbox" VALUES('bk_7eedf06d3fef701966a0.confirmed_customer','bk_7eedf06d3fef701966a0','confirmed_customer','<bk_7eedf06d3fef701966a0.confirmed_customer@book.example>','{"rescued": false}',1,NULL,'no longer true','2026-11-25 09:30:00.000000',NULL,'2026-11-25 09:30:00.000000',0);
INSERT INTO "outbox" VALUES('bk_7eedf06d3fef701966a0.confirmed_owner','bk_7eedf06d3fef701966a0','confirmed_owner','<bk_7eedf06d3fef701966a0.confirmed_owner@book.example>','{"rescued": false}',1,NULL,'no longer true','2026-11-25 09:30:00.000000',NULL,'2026-11-25 09:30:00.000000',0);
INSERT INTO "outbox" VALUES('bk_7eedf06d3fef701966a0.reminder_customer','bk_7eedf06d3fef701966a0','reminder_customer','<bk_7eedf06d3fef701966a0.reminder_customer@book.example>','{}',0,'2026-11-27 09:00:00.000000',NULL,'2026-11-25 09:30:00.000000',NULL,'2026-11-27 09:00:00.000000',0);
INSERT INTO "outbox" VALUES('bk_7eedf06d3fef701966a0.canceled_customer.1','bk_7eedf06d3fef701966a0','canceled_customer','<bk_7eedf06d3fef701966a0.canceled_customer.1@book.example>','{"by": "by_customer", "back": 120000, "undo_until": "2026-11-25T09:40:00+00:00"}',1,NULL,NULL,'2026-11-25 09:30:00.000000','2026-11-25 09:35:00.000000','2026-11-25 09:30:00.000000',1);
INSERT INTO "outbox" VALUES('bk_7eedf06d3fef701966a0.canceled_owner.1','bk_7eedf06d3fef701966a0','canceled_owner','<bk_7eedf06d3fef701966a0.canceled_owner.1@book.example>','{"by": "by_customer", "back": 120000, "undo_until": "2026-11-25T09:40:00+00:00"}',1,NULL,NULL,'2026-11-25 09:30:00.000000','2026-11-25 09:35:00.000000','2026-11-25 09:30:00.000000',1);
INSERT INTO "outbox" VALUES('bk_1999a46d6753ec148cb4.confirmed_customer','bk_1999a46d6753ec148cb4','confirmed_customer','<bk_1999a46d6753ec148cb4.confirmed_customer@book.example>','{"rescued": false}',1,NULL,NULL,'2026-11-25 11:00:00.000000','2026-11-25 11:05:00.000000','2026-11-25 11:00:00.000000',0);
INSERT INTO "outbox" VALUES('bk_1999a46d6753ec148cb4.confirmed_owner','bk_1999a46d6753ec148cb4','confirmed_owner','<bk_1999a46d6753ec148cb4.confirmed_owner@book.example>','{"rescued": false}',1,NULL,NULL,'2026-11-25 11:00:00.000000','2026-11-25 11:05:00.000000','2026-11-25 11:00:00.000000',0);
INSERT INTO "outbox" VALUES('bk_1999a46d6753ec148cb4.reminder_customer','bk_1999a46d6753ec148cb4','reminder_customer','<bk_1999a46d6753ec148cb4.reminder_customer@book.example>','{}',0,'2026-11-27 09:00:00.000000',NULL,'2026-11-25 11:00:00.000000',NULL,'2026-11-27 09:00:00.000000',0);
INSERT INTO "outbox" VALUES('bk_1999a46d6753ec148cb4.refunded_customer.rf_b610f9270f4eb8b333a8','bk_1999a46d6753ec148cb4','refunded_customer','<bk_1999a46d6753ec148cb4.refunded_customer.rf_b610f9270f4eb8b333a8@book.example>','{"reason": "goodwill", "refund": "rf_b610f9270f4eb8b333a8"}',1,NULL,NULL,'2026-11-25 11:00:00.000000','2026-11-25 11:05:00.000000','2026-11-25 11:00:00.000000',0);
INSERT INTO "outbox" VALUES('bk_e901d47d380d81f9c1f6.confirmed_customer','bk_e901d47d380d81f9c1f6','confirmed_customer','<bk_e901d47d380d81f9c1f6.confirmed_customer@book.example>','{"rescued": false}',0,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',0);
INSERT INTO "outbox" VALUES('bk_e901d47d380d81f9c1f6.confirmed_owner','bk_e901d47d380d81f9c1f6','confirmed_owner','<bk_e901d47d380d81f9c1f6.confirmed_owner@book.example>','{"rescued": false}',0,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',0);
INSERT INTO "outbox" VALUES('bk_e901d47d380d81f9c1f6.reminder_customer','bk_e901d47d380d81f9c1f6','reminder_customer','<bk_e901d47d380d81f9c1f6.reminder_customer@book.example>','{}',0,'2026-11-29 08:00:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-29 08:00:00.000000',0);
INSERT INTO "outbox" VALUES('bk_e901d47d380d81f9c1f6.moved_customer.1','bk_e901d47d380d81f9c1f6','moved_customer','<bk_e901d47d380d81f9c1f6.moved_customer.1@book.example>','{"from": "2026-11-30T08:00:00+00:00", "was": "Portrait session", "by": "by_customer", "difference": 0}',0,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',1);
INSERT INTO "outbox" VALUES('bk_e901d47d380d81f9c1f6.moved_owner.1','bk_e901d47d380d81f9c1f6','moved_owner','<bk_e901d47d380d81f9c1f6.moved_owner.1@book.example>','{"from": "2026-11-30T08:00:00+00:00", "was": "Portrait session", "by": "by_customer", "difference": 0}',0,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',1);
INSERT INTO "outbox" VALUES('bk_e901d47d380d81f9c1f6.reminder_customer.1','bk_e901d47d380d81f9c1f6','reminder_customer','<bk_e901d47d380d81f9c1f6.reminder_customer.1@book.example>','{}',0,'2026-11-29 09:30:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-29 09:30:00.000000',1);
INSERT INTO "outbox" VALUES('bk_cc22be6521cc3e2434e3.confirmed_customer','bk_cc22be6521cc3e2434e3','confirmed_customer','<bk_cc22be6521cc3e2434e3.confirmed_customer@book.example>','{"rescued": false}',0,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',0);
INSERT INTO "outbox" VALUES('bk_cc22be6521cc3e2434e3.confirmed_owner','bk_cc22be6521cc3e2434e3','confirmed_owner','<bk_cc22be6521cc3e2434e3.confirmed_owner@book.example>','{"rescued": false}',0,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',0);
INSERT INTO "outbox" VALUES('bk_cc22be6521cc3e2434e3.reminder_customer','bk_cc22be6521cc3e2434e3','reminder_customer','<bk_cc22be6521cc3e2434e3.reminder_customer@book.example>','{}',0,'2026-11-29 07:30:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-29 07:30:00.000000',0);
INSERT INTO "outbox" VALUES('bk_0b2178255d6807923986.confirmed_customer','bk_0b2178255d6807923986','confirmed_customer','<bk_0b2178255d6807923986.confirmed_customer@book.example>','{"rescued": false}',0,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',0);
INSERT INTO "outbox" VALUES('bk_0b2178255d6807923986.confirmed_owner','bk_0b2178255d6807923986','confirmed_owner','<bk_0b2178255d6807923986.confirmed_owner@book.example>','{"rescued": false}',0,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',0);
INSERT INTO "outbox" VALUES('bk_0b2178255d6807923986.reminder_customer','bk_0b2178255d6807923986','reminder_customer','<bk_0b2178255d6807923986.reminder_customer@book.example>','{}',0,'2026-11-30 09:00:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-30 09:00:00.000000',0);
INSERT INTO "outbox" VALUES('bk_f3d45804f92283868a29.confirmed_customer','bk_f3d45804f92283868a29','confirmed_customer','<bk_f3d45804f92283868a29.confirmed_customer@book.example>','{"rescued": false}',0,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',0);
INSERT INTO "outbox" VALUES('bk_f3d45804f92283868a29.confirmed_owner','bk_f3d45804f92283868a29','confirmed_owner','<bk_f3d45804f92283868a29.confirmed_owner@book.example>','{"rescued": false}',0,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',0);
INSERT INTO "outbox" VALUES('bk_f3d45804f92283868a29.reminder_customer','bk_f3d45804f92283868a29','reminder_customer','<bk_f3d45804f92283868a29.reminder_customer@book.example>','{}',0,'2026-11-30 09:20:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-30 09:20:00.000000',0);
INSERT INTO "outbox" VALUES('bk_9be38c497c68a8c24d42.confirmed_customer','bk_9be38c497c68a8c24d42','confirmed_customer','<bk_9be38c497c68a8c24d42.confirmed_customer@book.example>','{"rescued": false}',0,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',0);
INSERT INTO "outbox" VALUES('bk_9be38c497c68a8c24d42.confirmed_owner','bk_9be38c497c68a8c24d42','confirmed_owner','<bk_9be38c497c68a8c24d42.confirmed_owner@book.example>','{"rescued": false}',0,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',0);
INSERT INTO "outbox" VALUES('bk_9be38c497c68a8c24d42.reminder_customer','bk_9be38c497c68a8c24d42','reminder_customer','<bk_9be38c497c68a8c24d42.reminder_customer@book.example>','{}',0,'2026-12-01 08:00:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-12-01 08:00:00.000000',0);
INSERT INTO "outbox" VALUES('bk_9be38c497c68a8c24d42.canceled_customer.1','bk_9be38c497c68a8c24d42','canceled_customer','<bk_9be38c497c68a8c24d42.canceled_customer.1@book.example>','{"by": "by_customer", "back": 120000, "undo_until": "2026-11-25T12:40:00+00:00"}',0,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',1);
INSERT INTO "outbox" VALUES('bk_9be38c497c68a8c24d42.canceled_owner.1','bk_9be38c497c68a8c24d42','canceled_owner','<bk_9be38c497c68a8c24d42.canceled_owner.1@book.example>','{"by": "by_customer", "back": 120000, "undo_until": "2026-11-25T12:40:00+00:00"}',0,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',1);
INSERT INTO "outbox" VALUES('bk_6a175b569643d037cdff.confirmed_customer','bk_6a175b569643d037cdff','confirmed_customer','<bk_6a175b569643d037cdff.confirmed_customer@book.example>','{"rescued": false}',0,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',0);
INSERT INTO "outbox" VALUES('bk_6a175b569643d037cdff.confirmed_owner','bk_6a175b569643d037cdff','confirmed_owner','<bk_6a175b569643d037cdff.confirmed_owner@book.example>','{"rescued": false}',0,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',0);
INSERT INTO "outbox" VALUES('bk_6a175b569643d037cdff.reminder_customer','bk_6a175b569643d037cdff','reminder_customer','<bk_6a175b569643d037cdff.reminder_customer@book.example>','{}',0,'2026-12-03 08:00:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-12-03 08:00:00.000000',0);
INSERT INTO "outbox" VALUES('bk_6a175b569643d037cdff.canceled_customer.1','bk_6a175b569643d037cdff','canceled_customer','<bk_6a175b569643d037cdff.canceled_customer.1@book.example>','{"by": "by_owner", "back": 120000, "undo_until": ""}',0,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',1);
INSERT INTO "outbox" VALUES('bk_6a175b569643d037cdff.canceled_owner.1','bk_6a175b569643d037cdff','canceled_owner','<bk_6a175b569643d037cdff.canceled_owner.1@book.example>','{"by": "by_owner", "back": 120000, "undo_until": ""}',0,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',NULL,'2026-11-25 12:30:00.000000',1);
CREATE TABLE payments (
	id TEXT NOT NULL, 
	booking_id TEXT NOT NULL, 
	attempt INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	amount INTEGER NOT NULL, 
	currency TEXT NOT NULL, 
	capture TEXT NOT NULL, 
	params JSON NOT NULL, 
	session_id TEXT, 
	session_url TEXT, 
	payment_intent_id TEXT, 
	expires_at DATETIME NOT NULL, 
	captured INTEGER NOT NULL, 
	looks INTEGER NOT NULL, 
	next_look_at DATETIME, 
	created_at DATETIME NOT NULL, 
	move_id TEXT, 
	dispute TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(booking_id) REFERENCES bookings (id), 
	FOREIGN KEY(move_id) REFERENCES moves (id), 
	UNIQUE (booking_id, attempt), 
	UNIQUE (payment_intent_id), 
	UNIQUE (session_id)
);
INSERT INTO "payments" VALUES('pay_9b816ec9d28663ca828d','bk_07417ce42c8218072e8c',1,'captured',120000,'sek','automatic','{"mode": "payment", "submit_type": "book", "locale": "en", "client_reference_id": "bk_07417ce42c8218072e8c", "metadata": {"booking_id": "bk_07417ce42c8218072e8c", "payment_id": "pay_9b816ec9d28663ca828d", "attempt": "1"}, "line_items": [{"quantity": 1, "price_data": {"currency": "sek", "unit_amount": 120000, "product_data": {"name": "Portrait session", "description": "Astrid Lindqvist, Studio Nord, Hornsgatan 12"}}}], "payment_intent_data": {"capture_method": "automatic", "description": "Portrait session", "metadata": {"booking_id": "bk_07417ce42c8218072e8c", "payment_id": "pay_9b816ec9d28663ca828d", "attempt": "1"}}, "allowed_payment_method_types": ["card", "link"], "adaptive_pricing": {"enabled": false}, "expires_at": 1795422660, "success_url": "https://book.example/b/WyJia18wNzQxN2NlNDJjODIxODA3MmU4YyIsMTc5ODAzMDgwMF0.Y0vk4YiEoo9CYp1utsVUlXh0z0Y/return", "cancel_url": "https://book.example/b/WyJia18wNzQxN2NlNDJjODIxODA3MmU4YyIsMTc5ODAzMDgwMF0.Y0vk4YiEoo9CYp1utsVUlXh0z0Y/back", "customer_email": "over@customer.example"}','cs_test_a1QOaNF03vpUuT3em6KopZ9jZICffu4G7FgtJsThJv07In9ZMJLsCfMZyuKp','http://stripe.sandbox/c/pay/cs_test_a1QOaNF03vpUuT3em6KopZ9jZICffu4G7FgtJsThJv07In9ZMJLsCfMZyuKp','pi_3slm0lcNQqEefRWi4j7c1f5S7','2026-11-23 08:31:00.000000',120000,0,'2026-11-23 08:01:00.000000','2026-11-23 08:00:00.000000',NULL,'');
INSERT INTO "payments" VALUES('pay_1a2bf1fd42a29755d4c1','bk_b8b6442e3d437204e52d',1,'expired',120000,'sek','automatic','{"mode": "payment", "submit_type": "book", "locale": "en", "client_reference_id": "bk_b8b6442e3d437204e52d", "metadata": {"booking_id": "bk_b8b6442e3d437204e52d", "payment_id": "pay_1a2bf1fd42a29755d4c1", "attempt": "1"}, "line_items": [{"quantity": 1, "price_data": {"currency": "sek", "unit_amount": 120000, "product_data": {"name": "Portrait session", "description": "Astrid Lindqvist, Studio Nord, Hornsgatan 12"}}}], "payment_intent_data": {"capture_method": "automatic", "description": "Portrait session", "metadata": {"booking_id": "bk_b8b6442e3d437204e52d", "payment_id": "pay_1a2bf1fd42a29755d4c1", "attempt": "1"}}, "allowed_payment_method_types": ["card", "link"], "adaptive_pricing": {"enabled": false}, "expires_at": 1795422660, "success_url": "https://book.example/b/WyJia19iOGI2NDQyZTNkNDM3MjA0ZTUyZCIsMTc5ODEwMjgwMF0.QAtN9AgZ3Wk688Y4dSYUDnkBjIY/return", "cancel_url": "https://book.example/b/WyJia19iOGI2NDQyZTNkNDM3MjA0ZTUyZCIsMTc5ODEwMjgwMF0.QAtN9AgZ3Wk688Y4dSYUDnkBjIY/back", "customer_email": "expired@customer.example"}','cs_test_a1SkCH4F6JMWa4cFut1DdZ04ZAmJ9Of1Uiaz8RAuanaTWa0RHNgmhMPm3trS','http://stripe.sandbox/c/pay/cs_test_a1SkCH4F6JMWa4cFut1DdZ04ZAmJ9Of1Uiaz8RAuanaTWa0RHNgmhMPm3trS',NULL,'2026-11-23 08:31:00.000000',0,0,'2026-11-23 08:01:00.000000','2026-11-23 08:00:00.000000',NULL,'');
INSERT INTO "payments" VALUES('pay_ad453b1a11df587fd280','bk_7eedf06d3fef701966a0',1,'captured',120000,'sek','automatic','{"mode": "payment", "submit_type": "book", "locale": "en", "client_reference_id": "bk_7eedf06d3fef701966a0", "metadata": {"booking_id": "bk_7eedf06d3fef701966a0", "payment_id": "pay_ad453b1a11df587fd280", "attempt": "1"}, "line_items": [{"quantity": 1, "price_data": {"currency": "sek", "unit_amount": 120000, "product_data": {"name": "Portrait session", "description": "Jonas Berg, Studio Nord, Hornsgatan 12"}}}], "payment_intent_data": {"capture_method": "automatic", "description": "Portrait session", "metadata": {"booking_id": "bk_7eedf06d3fef701966a0", "payment_id": "pay_ad453b1a11df587fd280", "attempt": "1"}}, "allowed_payment_method_types": ["card", "link"], "adaptive_pricing": {"enabled": false}, "expires_at": 1795600860, "success_url": "https://book.example/b/WyJia183ZWVkZjA2ZDNmZWY3MDE5NjZhMCIsMTc5ODQ1MjAwMF0.bJA6GdsBWdrSBcNbKW4YFvnGUtI/return", "cancel_url": "https://book.example/b/WyJia183ZWVkZjA2ZDNmZWY3MDE5NjZhMCIsMTc5ODQ1MjAwMF0.bJA6GdsBWdrSBcNbKW4YFvnGUtI/back", "customer_email": "returned@customer.example"}','cs_test_a1grhJMSjYSC7zlXABlp9Dv7HjwDOOfEWnsa1SCNDanthXOtIMjBTWEfRFW9','http://stripe.sandbox/c/pay/cs_test_a1grhJMSjYSC7zlXABlp9Dv7HjwDOOfEWnsa1SCNDanthXOtIMjBTWEfRFW9','pi_3oIWzrObhr4QcaqzH4LTzCgVq','2026-11-25 10:01:00.000000',120000,0,'2026-11-25 09:31:00.000000','2026-11-25 09:30:00.000000',NULL,'');
INSERT INTO "payments" VALUES('pay_dc25b94067edfe175330','bk_1999a46d6753ec148cb4',1,'captured',120000,'sek','automatic','{"mode": "payment", "submit_type": "book", "locale": "en", "client_reference_id": "bk_1999a46d6753ec148cb4", "metadata": {"booking_id": "bk_1999a46d6753ec148cb4", "payment_id": "pay_dc25b94067edfe175330", "attempt": "1"}, "line_items": [{"quantity": 1, "price_data": {"currency": "sek", "unit_amount": 120000, "product_data": {"name": "Portrait session", "description": "Jonas Berg, Studio Nord, Hornsgatan 12"}}}], "payment_intent_data": {"capture_method": "automatic", "description": "Portrait session", "metadata": {"booking_id": "bk_1999a46d6753ec148cb4", "payment_id": "pay_dc25b94067edfe175330", "attempt": "1"}}, "allowed_payment_method_types": ["card", "link"], "adaptive_pricing": {"enabled": false}, "expires_at": 1795606260, "success_url": "https://book.example/b/WyJia18xOTk5YTQ2ZDY3NTNlYzE0OGNiNCIsMTc5ODQ1MjAwMF0.v-OT8QCWaaAwxFVXJlMbfOGU988/return", "cancel_url": "https://book.example/b/WyJia18xOTk5YTQ2ZDY3NTNlYzE0OGNiNCIsMTc5ODQ1MjAwMF0.v-OT8QCWaaAwxFVXJlMbfOGU988/back", "customer_email": "partly@customer.example"}','cs_test_a15ZZTg9mkC7e7BOz8rqB4WXwNuftbFaWqmWzyBXOORyS40cLDw1KiKTru0b','http://stripe.sandbox/c/pay/cs_test_a15ZZTg9mkC7e7BOz8rqB4WXwNuftbFaWqmWzyBXOORyS40cLDw1KiKTru0b','pi_3zE6HicfK3wxaemThQIEcu712','2026-11-25 11:31:00.000000',120000,0,'2026-11-25 11:01:00.000000','2026-11-25 11:00:00.000000',NULL,'');
INSERT INTO "payments" VALUES('pay_966b48beab134da98f1d','bk_e901d47d380d81f9c1f6',1,'captured',120000,'sek','automatic','{"mode": "payment", "submit_type": "book", "locale": "en", "client_reference_id": "bk_e901d47d380d81f9c1f6", "metadata": {"booking_id": "bk_e901d47d380d81f9c1f6", "payment_id": "pay_966b48beab134da98f1d", "attempt": "1"}, "line_items": [{"quantity": 1, "price_data": {"currency": "sek", "unit_amount": 120000, "product_data": {"name": "Portrait session", "description": "Astrid Lindqvist, Studio Nord, Hornsgatan 12"}}}], "payment_intent_data": {"capture_method": "automatic", "description": "Portrait session", "metadata": {"booking_id": "bk_e901d47d380d81f9c1f6", "payment_id": "pay_966b48beab134da98f1d", "attempt": "1"}}, "allowed_payment_method_types": ["card", "link"], "adaptive_pricing": {"enabled": false}, "expires_at": 1795611660, "success_url": "https://book.example/b/WyJia19lOTAxZDQ3ZDM4MGQ4MWY5YzFmNiIsMTc5ODYyMTIwMF0.3y7NrJIg4P-wt-2UCkjfJg12ob8/return", "cancel_url": "https://book.example/b/WyJia19lOTAxZDQ3ZDM4MGQ4MWY5YzFmNiIsMTc5ODYyMTIwMF0.3y7NrJIg4P-wt-2UCkjfJg12ob8/back", "customer_email": "moved@customer.example"}','cs_test_a1N2AeIl7oo7AyEZaBnyWcN9rbLwTx0vRDPiMHfq8gTgrbSjNXQiynKQumAG','http://stripe.sandbox/c/pay/cs_test_a1N2AeIl7oo7AyEZaBnyWcN9rbLwTx0vRDPiMHfq8gTgrbSjNXQiynKQumAG','pi_3GhJgS6EhG5CElDJviAqyfKGv','2026-11-25 13:01:00.000000',120000,0,'2026-11-25 12:31:00.000000','2026-11-25 12:30:00.000000',NULL,'');
INSERT INTO "payments" VALUES('pay_5dfb2c4a3698aa2ca1af','bk_cc22be6521cc3e2434e3',1,'captured',65000,'sek','automatic','{"mode": "payment", "submit_type": "book", "locale": "en", "client_reference_id": "bk_cc22be6521cc3e2434e3", "metadata": {"booking_id": "bk_cc22be6521cc3e2434e3", "payment_id": "pay_5dfb2c4a3698aa2ca1af", "attempt": "1"}, "line_items": [{"quantity": 1, "price_data": {"currency": "sek", "unit_amount": 65000, "product_data": {"name": "Headshot express", "description": "Mira Haddad, Studio Nord, Hornsgatan 12"}}}], "payment_intent_data": {"capture_method": "automatic", "description": "Headshot express", "metadata": {"booking_id": "bk_cc22be6521cc3e2434e3", "payment_id": "pay_5dfb2c4a3698aa2ca1af", "attempt": "1"}}, "allowed_payment_method_types": ["card", "link"], "adaptive_pricing": {"enabled": false}, "expires_at": 1795611660, "success_url": "https://book.example/b/WyJia19jYzIyYmU2NTIxY2MzZTI0MzRlMyIsMTc5ODYxNzYwMF0.z-LDXTOiIlI2xnaj-94Fb8VuAxA/return", "cancel_url": "https://book.example/b/WyJia19jYzIyYmU2NTIxY2MzZTI0MzRlMyIsMTc5ODYxNzYwMF0.z-LDXTOiIlI2xnaj-94Fb8VuAxA/back", "customer_email": "moving@customer.example"}','cs_test_a1LCr41oyyVG7vo0Lq7fcjuOLKFe9HEBuyU3bhBMQ79iWj4bhTBpcOrqyhws','http://stripe.sandbox/c/pay/cs_test_a1LCr41oyyVG7vo0Lq7fcjuOLKFe9HEBuyU3bhBMQ79iWj4bhTBpcOrqyhws','pi_3xNZOmV0IIdvGJak6F0bO3qvi','2026-11-25 13:01:00.000000',65000,0,'2026-11-25 12:31:00.000000','2026-11-25 12:30:00.000000',NULL,'');
INSERT INTO "payments" VALUES('pay_5eda64ac5db9d707107e','bk_cc22be6521cc3e2434e3',2,'open',55000,'sek','automatic','{"mode": "payment", "submit_type": "book", "locale": "en", "client_reference_id": "bk_cc22be6521cc3e2434e3", "metadata": {"booking_id": "bk_cc22be6521cc3e2434e3", "payment_id": "pay_5eda64ac5db9d707107e", "attempt": "2", "move_id": "mv_c7481ba1621582283d15"}, "line_items": [{"quantity": 1, "price_data": {"currency": "sek", "unit_amount": 55000, "product_data": {"name": "Portrait session", "description": "Astrid Lindqvist, Studio Nord, Hornsgatan 12"}}}], "payment_intent_data": {"capture_method": "automatic", "description": "Portrait session", "metadata": {"booking_id": "bk_cc22be6521cc3e2434e3", "payment_id": "pay_5eda64ac5db9d707107e", "attempt": "2", "move_id": "mv_c7481ba1621582283d15"}}, "allowed_payment_method_types": ["card", "link"], "adaptive_pricing": {"enabled": false}, "expires_at": 1795611660, "success_url": "https://book.example/manage/WyJia19jYzIyYmU2NTIxY2MzZTI0MzRlMyIsMF0.Mqk0ixLneX75xXRglFcp1Qu52Vk/return", "cancel_url": "https://book.example/manage/WyJia19jYzIyYmU2NTIxY2MzZTI0MzRlMyIsMF0.Mqk0ixLneX75xXRglFcp1Qu52Vk/back", "customer_email": "moving@customer.example"}','cs_test_a12YTVbUDY52mdAkyGynyIHFgi2fIa505fa9VpVzCRrAwQzqUe5WkLpVn2cW','http://stripe.sandbox/c/pay/cs_test_a12YTVbUDY52mdAkyGynyIHFgi2fIa505fa9VpVzCRrAwQzqUe5WkLpVn2cW',NULL,'2026-11-25 13:01:00.000000',0,0,'2026-11-25 12:31:00.000000','2026-11-25 12:30:00.000000','mv_c7481ba1621582283d15','');
INSERT INTO "payments" VALUES('pay_9d64fbb230bbd92a4aa2','bk_0b2178255d6807923986',1,'captured',120000,'sek','automatic','{"mode": "payment", "submit_type": "book", "locale": "en", "client_reference_id": "bk_0b2178255d6807923986", "metadata": {"booking_id": "bk_0b2178255d6807923986", "payment_id": "pay_9d64fbb230bbd92a4aa2", "attempt": "1"}, "line_items": [{"quantity": 1, "price_data": {"currency": "sek", "unit_amount": 120000, "product_data": {"name": "Portrait session", "description": "Jonas Berg, Studio Nord, Hornsgatan 12"}}}], "payment_intent_data": {"capture_method": "automatic", "description": "Portrait session", "metadata": {"booking_id": "bk_0b2178255d6807923986", "payment_id": "pay_9d64fbb230bbd92a4aa2", "attempt": "1"}}, "allowed_payment_method_types": ["card", "link"], "adaptive_pricing": {"enabled": false}, "expires_at": 1795611660, "success_url": "https://book.example/b/WyJia18wYjIxNzgyNTVkNjgwNzkyMzk4NiIsMTc5ODcxMTIwMF0.f9piupMLf9V8wcJsfk4iUrTRyRY/return", "cancel_url": "https://book.example/b/WyJia18wYjIxNzgyNTVkNjgwNzkyMzk4NiIsMTc5ODcxMTIwMF0.f9piupMLf9V8wcJsfk4iUrTRyRY/back", "customer_email": "confirmed@customer.example"}','cs_test_a1mBnqGkGiZMHW5IX6G10PE6vqBtD6PHdYUm9qDSebmMg2qY8a03n85lNl69','http://stripe.sandbox/c/pay/cs_test_a1mBnqGkGiZMHW5IX6G10PE6vqBtD6PHdYUm9qDSebmMg2qY8a03n85lNl69','pi_3QxNZraRQbbM67k13t90pz0FV','2026-11-25 13:01:00.000000',120000,0,'2026-11-25 12:31:00.000000','2026-11-25 12:30:00.000000',NULL,'');
INSERT INTO "payments" VALUES('pay_c89d62397bc701762741','bk_9be38c497c68a8c24d42',1,'captured',120000,'sek','automatic','{"mode": "payment", "submit_type": "book", "locale": "en", "client_reference_id": "bk_9be38c497c68a8c24d42", "metadata": {"booking_id": "bk_9be38c497c68a8c24d42", "payment_id": "pay_c89d62397bc701762741", "attempt": "1"}, "line_items": [{"quantity": 1, "price_data": {"currency": "sek", "unit_amount": 120000, "product_data": {"name": "Portrait session", "description": "Astrid Lindqvist, Studio Nord, Hornsgatan 12"}}}], "payment_intent_data": {"capture_method": "automatic", "description": "Portrait session", "metadata": {"booking_id": "bk_9be38c497c68a8c24d42", "payment_id": "pay_c89d62397bc701762741", "attempt": "1"}}, "allowed_payment_method_types": ["card", "link"], "adaptive_pricing": {"enabled": false}, "expires_at": 1795611660, "success_url": "https://book.example/b/WyJia185YmUzOGM0OTdjNjhhOGMyNGQ0MiIsMTc5ODc5NDAwMF0.0CpzEtbn1CCcxcMSjycPj4F1ha0/return", "cancel_url": "https://book.example/b/WyJia185YmUzOGM0OTdjNjhhOGMyNGQ0MiIsMTc5ODc5NDAwMF0.0CpzEtbn1CCcxcMSjycPj4F1ha0/back", "customer_email": "undoable@customer.example"}','cs_test_a10u1jvLWefxnqCvRFEIHffuCyXzIEJBHe6ojPz13Guj4ejjcyPKhQeHrKtw','http://stripe.sandbox/c/pay/cs_test_a10u1jvLWefxnqCvRFEIHffuCyXzIEJBHe6ojPz13Guj4ejjcyPKhQeHrKtw','pi_38Q3UEzL0uVQ5NDGwoXGcUyYx','2026-11-25 13:01:00.000000',120000,0,'2026-11-25 12:31:00.000000','2026-11-25 12:30:00.000000',NULL,'');
INSERT INTO "payments" VALUES('pay_8135f0e642f43328ad08','bk_5d5fdeb8fc4c7b297d0b',1,'open',120000,'sek','automatic','{"mode": "payment", "submit_type": "book", "locale": "en", "client_reference_id": "bk_5d5fdeb8fc4c7b297d0b", "metadata": {"booking_id": "bk_5d5fdeb8fc4c7b297d0b", "payment_id": "pay_8135f0e642f43328ad08", "attempt": "1"}, "line_items": [{"quantity": 1, "price_data": {"currency": "sek", "unit_amount": 120000, "product_data": {"name": "Portrait session", "description": "Astrid Lindqvist, Studio Nord, Hornsgatan 12"}}}], "payment_intent_data": {"capture_method": "automatic", "description": "Portrait session", "metadata": {"booking_id": "bk_5d5fdeb8fc4c7b297d0b", "payment_id": "pay_8135f0e642f43328ad08", "attempt": "1"}}, "allowed_payment_method_types": ["card", "link"], "adaptive_pricing": {"enabled": false}, "expires_at": 1795611660, "success_url": "https://book.example/b/WyJia181ZDVmZGViOGZjNGM3YjI5N2QwYiIsMTc5ODg4NTgwMF0.Utt6s0OafWpFhDYHkGJybmIWAc0/return", "cancel_url": "https://book.example/b/WyJia181ZDVmZGViOGZjNGM3YjI5N2QwYiIsMTc5ODg4NTgwMF0.Utt6s0OafWpFhDYHkGJybmIWAc0/back", "customer_email": "awaiting@customer.example"}','cs_test_a1cYg07Utf0L3zTiX5K877NH934mrsk6lL8oii4oqFYtjVNrnfi51QA8lm3L','http://stripe.sandbox/c/pay/cs_test_a1cYg07Utf0L3zTiX5K877NH934mrsk6lL8oii4oqFYtjVNrnfi51QA8lm3L',NULL,'2026-11-25 13:01:00.000000',0,0,'2026-11-25 12:31:00.000000','2026-11-25 12:30:00.000000',NULL,'');
INSERT INTO "payments" VALUES('pay_9f9d8a449ebe89d9bf02','bk_6a175b569643d037cdff',1,'captured',120000,'sek','automatic','{"mode": "payment", "submit_type": "book", "locale": "en", "client_reference_id": "bk_6a175b569643d037cdff", "metadata": {"booking_id": "bk_6a175b569643d037cdff", "payment_id": "pay_9f9d8a449ebe89d9bf02", "attempt": "1"}, "line_items": [{"quantity": 1, "price_data": {"currency": "sek", "unit_amount": 120000, "product_data": {"name": "Portrait session", "description": "Astrid Lindqvist, Studio Nord, Hornsgatan 12"}}}], "payment_intent_data": {"capture_method": "automatic", "description": "Portrait session", "metadata": {"booking_id": "bk_6a175b569643d037cdff", "payment_id": "pay_9f9d8a449ebe89d9bf02", "attempt": "1"}}, "allowed_payment_method_types": ["card", "link"], "adaptive_pricing": {"enabled": false}, "expires_at": 1795611660, "success_url": "https://book.example/b/WyJia182YTE3NWI1Njk2NDNkMDM3Y2RmZiIsMTc5ODk2NjgwMF0.XGbs_c8-uGqv_bLSJw7hyawxs1A/return", "cancel_url": "https://book.example/b/WyJia182YTE3NWI1Njk2NDNkMDM3Y2RmZiIsMTc5ODk2NjgwMF0.XGbs_c8-uGqv_bLSJw7hyawxs1A/back", "customer_email": "called@customer.example"}','cs_test_a1L6PgH2iT366DjBq5UImWYlVeqCuyGdw13yVUyJiXTTIKjPctNCHWKAnDnz','http://stripe.sandbox/c/pay/cs_test_a1L6PgH2iT366DjBq5UImWYlVeqCuyGdw13yVUyJiXTTIKjPctNCHWKAnDnz','pi_3fgIzhGRDVPkcmopgMyAe41Jn','2026-11-25 13:01:00.000000',120000,0,'2026-11-25 12:31:00.000000','2026-11-25 12:30:00.000000',NULL,'');
INSERT INTO "payments" VALUES('pay_f18dd77c96c0084f3dd6','bk_d102d9ed17e3cc0e95ee',1,'captured',120000,'sek','automatic','{"mode": "payment", "submit_type": "book", "locale": "en", "client_reference_id": "bk_d102d9ed17e3cc0e95ee", "metadata": {"booking_id": "bk_d102d9ed17e3cc0e95ee", "payment_id": "pay_f18dd77c96c0084f3dd6", "attempt": "1"}, "line_items": [{"quantity": 1, "price_data": {"currency": "sek", "unit_amount": 120000, "product_data": {"name": "Portrait session", "description": "Astrid Lindqvist, Studio Nord, Hornsgatan 12"}}}], "payment_intent_data": {"capture_method": "automatic", "description": "Portrait session", "metadata": {"booking_id": "bk_d102d9ed17e3cc0e95ee", "payment_id": "pay_f18dd77c96c0084f3dd6", "attempt": "1"}}, "allowed_payment_method_types": ["card", "link"], "adaptive_pricing": {"enabled": false}, "expires_at": 1795611660, "success_url": "https://book.example/b/WyJia19kMTAyZDllZDE3ZTNjYzBlOTVlZSIsMTc5ODk2NjgwMF0.I-KRkGmkyMl13Z3zfGizdJZsOtI/return", "cancel_url": "https://book.example/b/WyJia19kMTAyZDllZDE3ZTNjYzBlOTVlZSIsMTc5ODk2NjgwMF0.I-KRkGmkyMl13Z3zfGizdJZsOtI/back", "customer_email": "paid@customer.example"}','cs_test_a13lSanvqTT30gQbBtuNU6mvAX7i9PhpwWU6EClR1wB2BAxLgfJZCiga8ZH2','http://stripe.sandbox/c/pay/cs_test_a13lSanvqTT30gQbBtuNU6mvAX7i9PhpwWU6EClR1wB2BAxLgfJZCiga8ZH2','pi_3SyPEpzOUgAdR1sMktrHhJQRv','2026-11-25 13:01:00.000000',120000,0,'2026-11-25 12:31:00.000000','2026-11-25 12:30:00.000000',NULL,'');
CREATE TABLE refunds (
	id TEXT NOT NULL, 
	booking_id TEXT NOT NULL, 
	payment_id TEXT NOT NULL, 
	amount INTEGER NOT NULL, 
	currency TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	status TEXT NOT NULL, 
	stripe_refund_id TEXT, 
	first_tried_at DATETIME, 
	tries INTEGER NOT NULL, 
	next_try_at DATETIME, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	cause TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(booking_id) REFERENCES bookings (id), 
	FOREIGN KEY(payment_id) REFERENCES payments (id), 
	UNIQUE (payment_id, reason, cause), 
	UNIQUE (stripe_refund_id)
);
INSERT INTO "refunds" VALUES('rf_4a2ff3c64af775a89294','bk_7eedf06d3fef701966a0','pay_ad453b1a11df587fd280',120000,'sek','by_customer','succeeded','re_3ieYBRoMzJ6oDmvMgM4fYuuID','2026-11-25 09:40:00.000000',1,NULL,'2026-11-25 09:30:00.000000','2026-11-25 09:40:00.000000','1');
INSERT INTO "refunds" VALUES('rf_b610f9270f4eb8b333a8','bk_1999a46d6753ec148cb4','pay_dc25b94067edfe175330',20000,'sek','goodwill','succeeded','re_3K2ZDAlbDZqm8yewghbwblzNS','2026-11-25 11:00:00.000000',1,NULL,'2026-11-25 11:00:00.000000','2026-11-25 11:00:00.000000','gw_e544552b82f6be3edc0a');
INSERT INTO "refunds" VALUES('rf_f03ee2dcaa37f463b337','bk_9be38c497c68a8c24d42','pay_c89d62397bc701762741',120000,'sek','by_customer','requested',NULL,NULL,0,'2026-11-25 12:40:00.000000','2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000','1');
INSERT INTO "refunds" VALUES('rf_999075491bc354c56c9a','bk_6a175b569643d037cdff','pay_9f9d8a449ebe89d9bf02',120000,'sek','by_owner','succeeded','re_33TRZLfD0qVLqSJYykpOhR0L8','2026-11-25 12:30:00.000000',1,NULL,'2026-11-25 12:30:00.000000','2026-11-25 12:30:00.000000','1');
CREATE TABLE sign_ins (
	id TEXT NOT NULL, 
	email TEXT NOT NULL, 
	asked_at DATETIME NOT NULL, 
	used_at DATETIME, 
	ended_at DATETIME, 
	PRIMARY KEY (id)
);
INSERT INTO "sign_ins" VALUES('si_b3df44a47467537a4b63e0efb62ac1fe','owner@studio.example','2026-11-25 12:30:00.000000',NULL,NULL);
CREATE INDEX bookings_due ON bookings (status, deadline);
CREATE INDEX bookings_email ON bookings (customer_email);
CREATE INDEX bookings_guard ON bookings (resource_id, buffer_starts_at) WHERE occupies = 1;
CREATE INDEX bookings_owed ON bookings (hapio_booking_id, status);
CREATE INDEX bookings_starts ON bookings (starts_at);
CREATE INDEX bookings_visitor ON bookings (visitor_key);
CREATE INDEX idempotency_forget ON idempotency (forget_at);
CREATE INDEX inbox_due ON inbox (next_try_at);
CREATE INDEX ix_history_booking_id ON history (booking_id);
CREATE INDEX ix_moves_booking_id ON moves (booking_id);
CREATE INDEX moves_due ON moves (state, deadline);
CREATE INDEX moves_guard ON moves (resource_id, buffer_starts_at) WHERE occupies = 1;
CREATE UNIQUE INDEX moves_open ON moves (booking_id) WHERE state IN ('held', 'moving');
CREATE INDEX moves_owed ON moves (hapio_booking_id, state);
CREATE INDEX outbox_due ON outbox (next_try_at);
CREATE INDEX payments_due ON payments (state, next_look_at);
CREATE INDEX refunds_due ON refunds (next_try_at);
COMMIT;
