-- Whoever has read what storyboards are made from may keep it: the mark of its campaign differs after each change, whichever program makes it.

CREATE TABLE material_marks (
    -- No foreign key: who changes a photo waits for nobody who holds its campaign.
    campaign_id uuid   PRIMARY KEY,
    -- The transaction that last changed the campaign's name, its client or its photos. Without a row: none has since there are marks.
    mark        bigint NOT NULL
);

-- Only of campaigns that there are: photos go with theirs, after it. In order, so that two that change several do not wait for each other in
-- a circle.
CREATE FUNCTION material_changed(p_campaigns uuid[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO material_marks AS m (campaign_id, mark)
    SELECT id, pg_current_xact_id()::text::bigint FROM campaigns WHERE id = ANY (p_campaigns) ORDER BY id
    ON CONFLICT (campaign_id) DO UPDATE SET mark = excluded.mark WHERE m.mark <> excluded.mark
$$;

-- Campaigns before assets, as those who delete one lock them.
CREATE FUNCTION campaign_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM material_changed(ARRAY[NEW.id]);
    RETURN NULL;
END $$;
CREATE TRIGGER campaign_changed AFTER UPDATE OF client_id, name ON campaigns FOR EACH ROW
WHEN ((OLD.client_id, OLD.name) IS DISTINCT FROM (NEW.client_id, NEW.name)) EXECUTE FUNCTION campaign_changed();

CREATE FUNCTION campaign_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM material_marks WHERE campaign_id = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER campaign_gone AFTER DELETE ON campaigns FOR EACH ROW EXECUTE FUNCTION campaign_gone();

CREATE FUNCTION assets_come() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM material_changed(ARRAY(SELECT campaign_id FROM new_assets));
    RETURN NULL;
END $$;
CREATE TRIGGER assets_come AFTER INSERT ON assets REFERENCING NEW TABLE AS new_assets
FOR EACH STATEMENT EXECUTE FUNCTION assets_come();

CREATE FUNCTION asset_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM material_changed(ARRAY[OLD.campaign_id, NEW.campaign_id]);
    RETURN NULL;
END $$;
CREATE TRIGGER asset_changed AFTER UPDATE ON assets FOR EACH ROW
WHEN ((OLD.campaign_id, OLD.type, OLD.name, OLD.tags, OLD.inserted_at, OLD.deleted_at)
    IS DISTINCT FROM (NEW.campaign_id, NEW.type, NEW.name, NEW.tags, NEW.inserted_at, NEW.deleted_at))
EXECUTE FUNCTION asset_changed();
CREATE TRIGGER asset_gone AFTER DELETE ON assets FOR EACH ROW EXECUTE FUNCTION asset_changed();
