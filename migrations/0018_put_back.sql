-- A nap or a wake with an end puts back then what it changed, where nothing else decides.
ALTER TABLE overrides ADD COLUMN puts_back BOOLEAN NOT NULL DEFAULT FALSE;

-- How the container was before, by our own doing: 'awake', or 'asleep' for what napped; NULL where it was so already, or
-- somebody else changed it. `puts_back`: it becomes so again when nothing says any more what it should be.
ALTER TABLE applied ADD COLUMN was TEXT;
ALTER TABLE applied ADD COLUMN puts_back BOOLEAN NOT NULL DEFAULT FALSE;

-- The run that does so: it acts on the containers of its first plan alone.
ALTER TABLE runs ADD COLUMN puts_back BOOLEAN NOT NULL DEFAULT FALSE;
