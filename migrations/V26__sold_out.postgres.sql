CREATE FUNCTION set_sold_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.sold_out := CASE WHEN NEW.stock = 0 THEN 1 ELSE 0 END;
    RETURN NEW;
END
$$;
CREATE TRIGGER products_added BEFORE INSERT ON products
    FOR EACH ROW EXECUTE FUNCTION set_sold_out();
CREATE TRIGGER products_stock_changed BEFORE UPDATE OF stock ON products
    FOR EACH ROW WHEN ((OLD.stock = 0) <> (NEW.stock = 0)) EXECUTE FUNCTION set_sold_out();
