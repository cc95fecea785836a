"""The platforms' orders: where Meituan, Ele.me and six others say what we want to know.

This is our reading of their open platforms' documents and of payloads seen in public code, with
their field names. Platforms change them, and chains have middleware that changes them, too: the
table ``[mapping.MEITUAN]`` of a file overrides any line here without a release.
"""

from fendan.engine.geo import Datum
from fendan.intake.mapping import Field, Mapping
from fendan.rules import OrderType

__all__ = ["PLATFORMS"]

at, total = Field.at, Field.sum

# Pushed as a form whose `detail` is JSON. Money is in yuan. A delivery_time of 0 is "at once".
# `original_price` is goods, boxes and delivery together, so no item total is sent.
MEITUAN = Mapping(
    name="MEITUAN",
    channel="meituan",
    format="form",
    lines="detail[*]",
    money="yuan",
    times="s",
    default_type=OrderType.INSTANT,
    order={
        "order_id": at("wm_order_id_view", "order_id"),
        "lat": at("latitude"),
        "lng": at("longitude"),
        "placed": at("ctime"),
        "promised_until": at("delivery_time"),
        "pickup": at("pick_type"),
        "pickup_store_id": at("app_poi_code"),
        "buyer_id": at("openUid", "user_id"),
        "order_total": at("total"),
        "other_charges": total("shipping_fee", "package_bag_money_yuan"),
        "discount": total("extras[*].reduce_fee"),
    },
    line={
        "sku": at("sku_id", "app_food_code"),
        "barcode": at("upc"),
        "unit": at("unit"),
        "quantity": at("quantity"),
        "unit_price": at("price"),
    },
)

# Ele.me's retail platform. Products lie in bags, lists within a list. Money is in fen.
ELEME = Mapping(
    name="ELEME",
    channel="eleme",
    orders="body.data",
    lines="products[*][*]",
    money="fen",
    times="s",
    default_type=OrderType.INSTANT,
    order={
        "order_id": at("order.eleme_order_id", "order.order_id"),
        "lat": at("user.coord_amap.latitude"),
        "lng": at("user.coord_amap.longitude"),
        "placed": at("order.create_time"),
        # Of an order "at once" (send_immediately 1) there is none.
        "promised_until": at("order.latest_send_time", "order.send_time"),
        "pickup": at("order.business_type"),
        "pickup_store_id": at("shop.id"),
        "buyer_id": at("user.user_id"),
        "order_total": at("order.user_fee"),
        "other_charges": total("order.send_fee", "order.package_fee"),
        "discount": at("order.discount_fee"),
    },
    line={
        "sku": at("custom_sku_id", "sku_id"),
        "barcode": at("upc"),
        "quantity": at("product_amount"),
        "unit_price": at("product_price"),
        "line_total": at("product_fee"),
    },
)

# JD Daojia. Money is in fen, times are Chinese wall times. buyerCoordType says whose grid it is.
JD_DAOJIA = Mapping(
    name="JD_DAOJIA",
    channel="jd",
    orders="result.resultList[*]",
    lines="product[*]",
    money="fen",
    times="text",
    datum=Datum.GCJ02,
    datums={"1": Datum.WGS84, "3": Datum.BD09, "5": Datum.GCJ02},
    types={"1": OrderType.NEXT_DAY, "6": OrderType.INSTANT, "9": OrderType.INSTANT},
    default_type=OrderType.INSTANT,
    order={
        "order_id": at("orderId"),
        "lat": at("buyerLat"),
        "lng": at("buyerLng"),
        "datum": at("buyerCoordType"),
        "placed": at("orderStartTime", "orderPurchaseTime"),
        "promised_from": at("orderPreStartDeliveryTime"),
        "promised_until": at("orderPreEndDeliveryTime"),
        "type_code": at("orderAgingType"),
        # 9999 is no carrier: the customer fetches it.
        "pickup": at("deliveryCarrierNo", among=("9999",)),
        "pickup_store_id": at("deliveryStationNoIsv"),
        "buyer_id": at("buyerPin"),
        "item_total": at("orderTotalMoney"),
        "order_total": at("orderBuyerPayableMoney"),
        "other_charges": total("orderFreightMoney", "packagingMoney"),
        "discount": at("orderDiscountMoney"),
    },
    line={
        "sku": at("skuIdIsv"),
        "barcode": at("upcCode"),
        "quantity": at("skuCount"),
        "unit_price": at("skuJdPrice"),
    },
)

# Douyin shops. Money is in fen, places are Amap's. Each SKU says for itself how it is traded.
DOUYIN = Mapping(
    name="DOUYIN",
    channel="douyin",
    orders="data.shop_order_list[*]",
    lines="sku_order_list[*]",
    money="fen",
    times="s",
    types={"18": OrderType.INSTANT},
    default_type=OrderType.NEXT_DAY,
    order={
        "order_id": at("order_id"),
        "lat": at("user_coordinate.user_coordinate_latitude"),
        "lng": at("user_coordinate.user_coordinate_longitude"),
        "placed": at("create_time"),
        "promised_from": at("earliest_receipt_time"),
        "promised_until": at("target_arrival_time", "latest_receipt_time"),
        "presale_ship": at("appointment_ship_time", "exp_ship_time"),
        "type_code": at("sku_order_list[*].trade_type"),
        "presale": at("sku_order_list[*].pre_sale_type", among=("1", "2")),
        "group": at("sku_order_list[*].trade_type", among=("1",)),
        "group_id": at("group_id"),
        "pickup": at("sku_order_list[*].receive_type", among=("2",)),
        "pickup_store_id": at("sku_order_list[*].store_info.store_id"),
        "buyer_id": at("doudian_open_id", "open_id"),
        "address_id": at("open_address_id"),
        "order_total": at("pay_amount"),
        "other_charges": total("post_amount", "packing_amount"),
        "discount": at("promotion_amount"),
    },
    line={
        "sku": at("code", "out_sku_id"),
        "quantity": at("item_num"),
        "unit_price": at("origin_amount"),
        "line_total": at("sum_amount"),
    },
)

# Taobao and Tmall. Money is in yuan, as texts. A trade has no coordinates: middleware that has
# found them adds receiver_lat and receiver_lng (Amap's); else the rules of places hold the order.
TAOBAO = Mapping(
    name="TAOBAO",
    channel="taobao",
    orders="trade_fullinfo_get_response.trade",
    lines="orders.order[*]",
    money="yuan",
    times="text",
    types={"step": OrderType.PRESALE},
    default_type=OrderType.NEXT_DAY,
    order={
        "order_id": at("tid_str", "tid"),
        "lat": at("receiver_lat"),
        "lng": at("receiver_lng"),
        "placed": at("created"),
        "promised_until": at("delivery_time"),
        "presale_ship": at("orders.order[*].estimate_con_time", "es_date"),
        "type_code": at("type"),
        "buyer_id": at("buyer_open_uid", "buyer_nick"),
        "address_id": at("oaid"),
        "region": at("receiver_state"),
        "item_total": at("total_fee"),
        "order_total": at("payment"),
        "other_charges": at("post_fee"),
        "discount": at("discount_fee"),
    },
    line={
        "sku": at("outer_sku_id", "outer_iid"),
        "quantity": at("num"),
        "unit_price": at("price"),
    },
)

# WeChat's shop component, which a chain's mini-program takes orders by. Money is in fen.
WECHAT = Mapping(
    name="WECHAT",
    channel="wechat",
    orders="order",
    lines="order_detail.product_infos[*]",
    money="fen",
    times="s",
    default_type=OrderType.SAME_DAY,
    order={
        "order_id": at("order_id"),
        "lat": at("order_detail.delivery_info.address_info.lat"),
        "lng": at("order_detail.delivery_info.address_info.lng"),
        "placed": at("create_time"),
        "promised_until": at("order_detail.delivery_info.predict_delivery_time"),
        "presale_ship": at("order_detail.product_infos[*].predict_delivery_time"),
        "presale": at("order_detail.product_infos[*].is_presale"),
        # 4: the customer comes for it.
        "pickup": at("order_detail.delivery_info.delivery_type", among=("4",)),
        "pickup_store_id": at("order_detail.delivery_info.store_id"),
        "group_id": at("order_detail.group_id"),
        "buyer_id": at("openid"),
        "address_id": at("order_detail.delivery_info.address_info.hash_code"),
        "item_total": at("order_detail.price_info.product_price"),
        "order_total": at("order_detail.price_info.order_price"),
        "other_charges": at("order_detail.price_info.freight"),
        "discount": at("order_detail.price_info.discounted_price"),
    },
    line={
        "sku": at("sku_code", "out_sku_id"),
        "quantity": at("sku_cnt", "product_cnt"),
        "unit_price": at("sale_price"),
    },
)

# The chain's own shop says what we want in our words.
OWN_SHOP = Mapping(
    name="OWN_SHOP",
    channel="own",
    lines="lines[*]",
    money="fen",
    times="text",
    datum=Datum.WGS84,
    datums={datum.value: datum for datum in Datum},
    types={order_type.name: order_type for order_type in OrderType},
    order={
        name: at(name)
        for name in (
            *("order_id", "channel", "lat", "lng", "datum", "pickup_store_id", "group_id"),
            *("region", "buyer_id", "address_id", "member_tier", "item_total", "order_total"),
            *("other_charges", "discount", "pickup", "presale"),
        )
    }
    | {
        "type_code": at("order_type"),
        "placed": at("placed_at"),
        "promised_from": at("promised_from"),
        "promised_until": at("promised_until"),
        "presale_ship": at("ships_at"),
    },
    line={
        name: at(name)
        for name in ("sku", "barcode", "unit", "quantity", "unit_price", "line_total")
    },
)

# Tills: what was paid at one shop and is to be fetched, or sent from elsewhere. Many write GBK.
POS = Mapping(
    name="POS",
    channel="pos",
    encoding="gb18030",
    lines="items[*]",
    money="yuan",
    times="text",
    datum=Datum.WGS84,
    types={"PICKUP": OrderType.PICKUP, "DELIVERY": OrderType.SAME_DAY},
    default_type=OrderType.PICKUP,
    order={
        "order_id": at("bill_no"),
        "lat": at("lat"),
        "lng": at("lng"),
        "placed": at("sale_time"),
        "type_code": at("fulfil"),
        "pickup_store_id": at("store_code"),
        "buyer_id": at("member_no"),
        "member_tier": at("member_level"),
        "item_total": at("goods_amount"),
        "order_total": at("paid_amount"),
        "other_charges": at("fee_amount"),
        "discount": at("discount_amount"),
    },
    line={
        "sku": at("item_code"),
        "barcode": at("barcode"),
        "unit": at("unit"),
        "quantity": at("qty"),
        "unit_price": at("price"),
        "line_total": at("amount"),
    },
)

PLATFORMS = {
    mapping.name: mapping
    for mapping in (MEITUAN, ELEME, JD_DAOJIA, DOUYIN, TAOBAO, WECHAT, OWN_SHOP, POS)
}
