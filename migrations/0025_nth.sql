-- Which of the like weekdays of a month a schedule acts on: numbers from 1 to 5, and -1 for the last, with commas between
-- them; NULL for all.
ALTER TABLE schedules ADD COLUMN nth TEXT;
